"""Published networks that turn images into features: ResNeSt by its authors, EfficientNet of torchvision, all of timm.

A library's network, its forward pass and the names of its parameters stay as they are, so that its weights files fit;
only its pooling and its classifier are exchanged.
"""

import difflib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import timm
import torch
import torchvision
from resnest import torch as resnest
from resnest.torch.resnet import ResNet as ResNeSt
from timm.layers import SelectAdaptivePool2d
from timm.models import group_parameters
from torch import Tensor, nn

from melanoma.augment import IMAGENET_MEAN, IMAGENET_STD
from melanoma.errors import InputError
from melanoma.layers import GeneralisedMean, Recomputed, batch_norms, exponents

TIMM = "timm/"
RESNEST_STAGES = ("layer1", "layer2", "layer3", "layer4")


class Backbone(nn.Module):
    """A published network: images (n, 3, size, size), normalised by ImageNet's statistics, to features (n, width).

    `layers` is the depth of each parameter that belongs to the published network: not of the exponent of a pooling.
    `normalise` goes from ImageNet's statistics to those that the network was trained with.
    """

    def __init__(self, network: nn.Module, width: int, layers: dict[str, int], normalise: nn.Module) -> None:
        super().__init__()
        self.network, self.width, self.layers, self.normalise = network, width, layers, normalise
        self.frozen = False

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of `images`."""
        return self.network(self.normalise(images))

    def depths(self) -> dict[str, int]:
        """Return the layer of each parameter of the published network: 0 is the stem, each stage is one more."""
        return {f"network.{name}": depth for name, depth in self.layers.items()}

    def freeze(self, frozen: bool) -> None:
        """Keep the published network as it is, as in prediction, or train it again."""
        self.frozen = frozen
        for name, parameter in self.network.named_parameters():
            if name in self.layers:
                parameter.requires_grad_(not frozen)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Backbone":
        """Set training or prediction; what is frozen stays in prediction."""
        super().train(mode)
        if self.frozen:
            self.network.eval()
        return self


class RecomputingBackbone(Backbone):
    """A backbone whose blocks are computed again in the backward pass, where batch norm must not count a batch twice.

    So between one forward pass and the next, the momentum of its batch norm is 0. (Its `num_batches_tracked`, which
    nothing reads where there is a momentum, does count twice.)
    """

    def __init__(self, network: nn.Module, width: int, layers: dict[str, int], normalise: nn.Module) -> None:
        super().__init__(network, width, layers, normalise)
        self.momenta: list[float | None] = []

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of `images`."""
        norms = list(batch_norms(self.network))
        # Read at the first call: a conversion to synchronised batch norm has exchanged the layers before it.
        self.momenta = self.momenta or [norm.momentum for norm in norms]
        for norm, momentum in zip(norms, self.momenta, strict=True):
            norm.momentum = momentum
        features = super().forward(images)
        for norm in norms:
            norm.momentum = 0.0
        return features


class Renormalise(nn.Module):
    """Turns images normalised by ImageNet's mean and standard deviation into ones normalised by others, in [0, 1]."""

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        imagenet_mean, imagenet_std = (torch.tensor(values).float() for values in (IMAGENET_MEAN, IMAGENET_STD))
        self.register_buffer("factor", (imagenet_std / torch.tensor(std))[:, None, None], persistent=False)
        shift = (imagenet_mean - torch.tensor(mean)) / torch.tensor(std)
        self.register_buffer("shift", shift[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return images of the same shape."""
        return images * self.factor + self.shift


def build_backbone(name: str, size: int, settings: dict[str, Any]) -> Backbone:
    """Return the network `name` with random weights, by the recipe's settings of the backbone.

    Raises InputError for a name that timm does not know, for images of a size that the network cannot take, and for
    GeM where the network has no feature map to pool.
    """
    build = partial(_library(name), name, size, settings)
    width = _width(build, name, size)
    network = build()
    kind = RecomputingBackbone if settings["recompute"] else Backbone
    new = exponents(network)
    layers = {parameter: depth for parameter, depth in _layers(network).items() if parameter not in new}
    return kind(network, width, layers, _normalisation(network))


def classifier_of(network: nn.Module) -> tuple[str, ...]:
    """Return the names of the output layers that the network was published with."""
    if isinstance(network, ResNeSt):
        return ("fc",)
    if isinstance(network, torchvision.models.EfficientNet):
        return ("classifier",)
    names = network.pretrained_cfg.get("classifier") or ()
    return (names,) if isinstance(names, str) else tuple(names)


def _library(name: str) -> Callable[[str, int, dict[str, Any]], nn.Module]:
    if name.startswith(TIMM):
        return _timm
    return _resnest if name.startswith("resnest") else _efficientnet


def _resnest(name: str, size: int, settings: dict[str, Any]) -> nn.Module:
    network = getattr(resnest, name)()
    if settings["pooling"] == "gem":
        network.avgpool = GeneralisedMean()
    if settings["features"] == "pooled":
        network.fc = nn.Identity()
    if settings["recompute"]:
        for stage in RESNEST_STAGES:
            setattr(network, stage, Recomputed(*getattr(network, stage)))
    return network


def _efficientnet(name: str, size: int, settings: dict[str, Any]) -> nn.Module:
    network = getattr(torchvision.models, name)()
    if settings["pooling"] == "gem":
        network.avgpool = GeneralisedMean()
    if settings["features"] == "pooled":
        network.classifier = nn.Identity()
    if settings["recompute"]:
        for stage in range(1, len(network.features) - 1):
            network.features[stage] = Recomputed(*network.features[stage])
    return network


def _timm(name: str, size: int, settings: dict[str, Any]) -> nn.Module:
    known = name.removeprefix(TIMM)
    if known not in {*timm.list_models(), *timm.list_pretrained()}:
        nearest = difflib.get_close_matches(known, [*timm.list_models(), *timm.list_pretrained()], n=3)
        meant = f"; did you mean {' or '.join(TIMM + match for match in nearest)}?" if nearest else ""
        raise InputError(f"network: timm {timm.__version__} has no {known!r}{meant}")
    options = {"img_size": size} if timm.get_pretrained_cfg(known).fixed_input_size else {}
    if settings["features"] == "pooled":
        options["num_classes"] = 0
    network = timm.create_model(known, **options)
    if settings["pooling"] == "gem":
        _pool_by_gem(name, network)
    if settings["recompute"]:
        try:
            network.set_grad_checkpointing()
        except (AssertionError, AttributeError) as error:
            raise InputError(f"backbone.recompute: timm cannot recompute {name}; set it to false") from error
    return network


def _pool_by_gem(name: str, network: nn.Module) -> None:
    """Exchange timm's pooling layer for GeM over the same dimensions."""
    layers = [
        (path, layer)
        for path, layer in network.named_modules()
        if isinstance(layer, SelectAdaptivePool2d) and not layer.is_identity()
    ]
    if len(layers) != 1:
        raise InputError(f"backbone.pooling: {name} pools no feature map, so gem cannot; set it to average")
    path, layer = layers[0]
    dims = getattr(layer.pool, "dim", (2, 3))
    flattens = getattr(layer.pool, "flatten", False) or isinstance(layer.flatten, nn.Flatten)
    network.set_submodule(path, GeneralisedMean(dims, keepdim=not flattens))


def _width(build: Callable[[], nn.Module], name: str, size: int) -> int:
    """Return the number of features, from a pass on torch's meta device: shapes without values, in no time."""
    try:
        with torch.device("meta"), torch.no_grad():
            shape = build().eval()(torch.zeros(2, 3, size, size)).shape
    except InputError:
        raise
    except Exception as error:  # libraries refuse a size by any kind of exception
        raise InputError(
            f"{name} cannot take images of {size} x {size} pixels ({error}). Set the model's input_size to one that it"
            " can, such as that of its published weights"
        ) from error
    return shape[1]


def _layers(network: nn.Module) -> dict[str, int]:
    """Return the depth of each parameter: 0 is the stem, each stage is one more."""
    names = [name for name, _ in network.named_parameters()]
    if isinstance(network, ResNeSt):
        stages = {stage: depth for depth, stage in enumerate((*RESNEST_STAGES, "fc"), start=1)}
        return {name: stages.get(name.partition(".")[0], 0) for name in names}
    if isinstance(network, torchvision.models.EfficientNet):
        last = len(network.features)
        return {name: int(name.split(".")[1]) if name.startswith("features.") else last for name in names}
    try:
        return group_parameters(network, network.group_matcher(coarse=True), reverse=True)
    except (AttributeError, AssertionError):
        # A few of timm's networks do not tell: there each part is a layer, in order of definition.
        return dict(_by_part(network))


def _by_part(network: nn.Module) -> Iterator[tuple[str, int]]:
    """Yield each parameter and the number of its part; the members of a sequence are parts of their own."""
    numbers: dict[str, int] = {}
    for name, _ in network.named_parameters():
        part, _, rest = name.partition(".")
        if isinstance(getattr(network, part), nn.Sequential | nn.ModuleList):
            part = f"{part}.{rest.partition('.')[0]}"
        yield name, numbers.setdefault(part, len(numbers))


def _normalisation(network: nn.Module) -> nn.Module:
    """Return what goes from ImageNet's normalisation to that which the network was trained with."""
    published = getattr(network, "pretrained_cfg", {})
    mean, std = tuple(published.get("mean", IMAGENET_MEAN)), tuple(published.get("std", IMAGENET_STD))
    same = mean == tuple(IMAGENET_MEAN) and std == tuple(IMAGENET_STD)
    return nn.Identity() if same else Renormalise(mean, std)
