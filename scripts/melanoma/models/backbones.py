"""Published networks that turn images into features: ResNeSt by its authors, EfficientNet of torchvision, all of timm.

The forward pass and the names of the parameters stay those of the library, so that its weights files fit. Only the
pooling and the classifier are replaced. Each library has a module here, which is imported only when it is needed,
because the three together take longer to import than torch.
"""

from functools import cache
from types import ModuleType

import torch
from torch import Tensor, nn

from melanoma.augment.transforms import IMAGENET_MEAN, IMAGENET_STD
from melanoma.common.errors import InputError
from melanoma.config import networks as options
from melanoma.models.layers import FeatureNetwork, batch_norms, exponents


class Backbone(FeatureNetwork):
    """A published network, from images (n, 3, size, size), normalized by ImageNet, to features (n, width).

    `normalize` changes the normalization to the one that the network was trained with.
    """

    def __init__(self, network: nn.Module, width: int, normalize: nn.Module) -> None:
        super().__init__()
        self.network, self.width, self.normalize = network, width, normalize
        self.frozen = False

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of `images`."""
        features: Tensor = self.network(self.normalize(images))
        return features

    def freeze(self, frozen: bool) -> None:
        """Freeze the published weights and the statistics of batch norm, or release them. GeM learns in both cases."""
        self.frozen = frozen
        learned = exponents(self.network)
        for name, parameter in self.network.named_parameters():
            if name not in learned:
                parameter.requires_grad_(not frozen)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Backbone":
        """Set training or prediction mode. A frozen network stays in prediction mode."""
        super().train(mode)
        if self.frozen:
            self.network.eval()
        return self


class CheckpointedBackbone(Backbone):
    """A backbone with gradient checkpointing, whose second forward pass must not update batch norm again.

    So the momentum of batch norm is 0 except in the first forward pass. (`num_batches_tracked` counts both passes, but
    batch norm with a momentum does not read it.)
    """

    def __init__(self, network: nn.Module, width: int, normalize: nn.Module) -> None:
        super().__init__(network, width, normalize)
        self.momenta: list[float | None] = []

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of `images`."""
        norms = list(batch_norms(self.network))
        # Read in the first call, because synchronized batch norm replaces the layers after the network is built.
        self.momenta = self.momenta or [norm.momentum for norm in norms]
        for norm, momentum in zip(norms, self.momenta, strict=True):
            norm.momentum = momentum
        features = super().forward(images)
        for norm in norms:
            norm.momentum = 0.0
        return features


class Renormalize(nn.Module):
    """Changes images normalized by ImageNet's mean and standard deviation to the given ones, of values in [0, 1]."""

    factor: Tensor
    shift: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        imagenet_mean, imagenet_std = (torch.tensor(values).float() for values in (IMAGENET_MEAN, IMAGENET_STD))
        self.register_buffer("factor", (imagenet_std / torch.tensor(std))[:, None, None], persistent=False)
        shift = (imagenet_mean - torch.tensor(mean)) / torch.tensor(std)
        self.register_buffer("shift", shift[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return images of the same shape."""
        return images * self.factor + self.shift


def build_backbone(name: str, size: int, settings: options.Backbone) -> Backbone:
    """Return the network `name` with random weights, for images of side `size`.

    Raises InputError for a name that timm does not have, for a size that the network cannot take, and for GeM if the
    network has no feature map to pool.
    """
    width = _width(name, size, settings)
    network = _library(name).build(name, size, settings)
    kind = CheckpointedBackbone if settings.gradient_checkpointing else Backbone
    return kind(network, width, _normalization(network))


def published_classifier(name: str, network: nn.Module) -> tuple[str, ...]:
    """Return the names of the published output layers of `network`, which a library has under `name`."""
    layers: tuple[str, ...] = _library(name).classifier(network)
    return layers


def _library(name: str) -> ModuleType:
    if name.startswith("timm/"):
        from melanoma.models import timm_networks

        return timm_networks
    if name.startswith("resnest"):
        from melanoma.models import resnest_networks

        return resnest_networks
    from melanoma.models import torchvision_networks

    return torchvision_networks


@cache  # a prediction builds the same network for each fold and seed
def _width(name: str, size: int, settings: options.Backbone) -> int:
    """Return the number of features, from a forward pass on torch's meta device, which computes shapes only."""
    try:
        with torch.device("meta"), torch.no_grad():
            network = _library(name).build(name, size, settings)
            features: Tensor = network.eval()(torch.zeros(2, 3, size, size))
    except InputError:
        raise
    except Exception as error:  # The libraries raise exceptions of any kind for a size.
        raise InputError(
            f"{name} cannot take images of {size} x {size} pixels ({error}). Set the model's input_size to a size that"
            " it can take, such as that of its published weights"
        ) from error
    return features.shape[1]


def _normalization(network: nn.Module) -> nn.Module:
    """Return a layer from ImageNet's normalization to the one that the network was trained with."""
    published = getattr(network, "pretrained_cfg", {})
    mean, std = tuple(published.get("mean", IMAGENET_MEAN)), tuple(published.get("std", IMAGENET_STD))
    is_imagenet = mean == tuple(IMAGENET_MEAN) and std == tuple(IMAGENET_STD)
    return nn.Identity() if is_imagenet else Renormalize(mean, std)
