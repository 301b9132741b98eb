"""EfficientNet of torchvision, as a backbone."""

import torchvision
from torch import nn

from melanoma.config import networks as options
from melanoma.models.layers import GeneralizedMean, GradientCheckpointed


def build(name: str, size: int, settings: options.Backbone) -> nn.Module:
    """Return the network `name` with random weights; it takes any `size`."""
    network = getattr(torchvision.models, name)()
    if settings.pooling == "gem":
        network.avgpool = GeneralizedMean()
    if settings.features == "pooled":
        network.classifier = nn.Identity()
    if settings.gradient_checkpointing:
        for stage in range(1, len(network.features) - 1):
            network.features[stage] = GradientCheckpointed(*network.features[stage])
    built: nn.Module = network
    return built


def classifier(network: nn.Module) -> tuple[str, ...]:
    """Return the names of the published output layers."""
    return ("classifier",)
