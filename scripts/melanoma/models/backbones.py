"""Published networks that turn images into features: ResNeSt by its authors, EfficientNet of torchvision, all of timm.

A library's network, its forward pass and the names of its parameters stay as they are, so that its weights files fit;
only its pooling and its classifier are exchanged. Each library has a module of its own, imported where a network of it
is built: the three together take longer to import than torch.
"""

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from melanoma.augment.transforms import IMAGENET_MEAN, IMAGENET_STD
from melanoma.common.errors import InputError
from melanoma.models.layers import batch_norms, exponents


class Backbone(nn.Module):
    """A published network: images (n, 3, size, size), normalized by ImageNet's statistics, to features (n, width).

    `normalize` goes from ImageNet's statistics to those that the network was trained with.
    """

    def __init__(self, network: nn.Module, width: int, normalize: nn.Module) -> None:
        super().__init__()
        self.network, self.width, self.normalize = network, width, normalize
        self.frozen = False

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of `images`."""
        return self.network(self.normalize(images))

    def freeze(self, frozen: bool) -> None:
        """Keep the published network as it is, as in prediction, or train it again; its pooling learns anyway."""
        self.frozen = frozen
        learning = exponents(self.network)
        for name, parameter in self.network.named_parameters():
            if name not in learning:
                parameter.requires_grad_(not frozen)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Backbone":
        """Set training or prediction; what is frozen stays in prediction."""
        super().train(mode)
        if self.frozen:
            self.network.eval()
        return self


class CheckpointedBackbone(Backbone):
    """A backbone whose blocks are computed again in the backward pass, where batch norm must not count a batch twice.

    So between one forward pass and the next, the momentum of its batch norm is 0. (Its `num_batches_tracked`, which
    nothing reads where there is a momentum, does count twice.)
    """

    def __init__(self, network: nn.Module, width: int, normalize: nn.Module) -> None:
        super().__init__(network, width, normalize)
        self.momenta: list[float | None] = []

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of `images`."""
        norms = list(batch_norms(self.network))
        # Read at the first call: a conversion to synchronized batch norm has exchanged the layers before it.
        self.momenta = self.momenta or [norm.momentum for norm in norms]
        for norm, momentum in zip(norms, self.momenta, strict=True):
            norm.momentum = momentum
        features = super().forward(images)
        for norm in norms:
            norm.momentum = 0.0
        return features


class Renormalize(nn.Module):
    """Turns images normalized by ImageNet's mean and standard deviation into ones normalized by others, in [0, 1]."""

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
    build = partial(_library(name).build, name, size, settings)
    width = _width(build, name, size)
    network = build()
    kind = CheckpointedBackbone if settings["gradient_checkpointing"] else Backbone
    return kind(network, width, _normalization(network))


def classifier_of(name: str, network: nn.Module) -> tuple[str, ...]:
    """Return the names of the output layers that `network`, the library's of this name, was published with."""
    return _library(name).classifier(network)


def _library(name: str) -> ModuleType:
    if name.startswith("timm/"):
        from melanoma.models import timm_networks as library
    elif name.startswith("resnest"):
        from melanoma.models import resnest_networks as library
    else:
        from melanoma.models import torchvision_networks as library
    return library


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


def _normalization(network: nn.Module) -> nn.Module:
    """Return what goes from ImageNet's normalization to that which the network was trained with."""
    published = getattr(network, "pretrained_cfg", {})
    mean, std = tuple(published.get("mean", IMAGENET_MEAN)), tuple(published.get("std", IMAGENET_STD))
    same = mean == tuple(IMAGENET_MEAN) and std == tuple(IMAGENET_STD)
    return nn.Identity() if same else Renormalize(mean, std)
