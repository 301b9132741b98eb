"""EfficientNet of torchvision, as a backbone: built, and its classifier."""

from typing import Any

import torchvision
from torch import nn

from melanoma.models.layers import GeneralizedMean, GradientCheckpointed


def build(name: str, size: int, settings: dict[str, Any]) -> nn.Module:
    """Return the network `name` with random weights, by the recipe's settings of the backbone; it takes any `size`."""
    network = getattr(torchvision.models, name)()
    if settings["pooling"] == "gem":
        network.avgpool = GeneralizedMean()
    if settings["features"] == "pooled":
        network.classifier = nn.Identity()
    if settings["gradient_checkpointing"]:
        for stage in range(1, len(network.features) - 1):
            network.features[stage] = GradientCheckpointed(*network.features[stage])
    return network


def classifier(network: nn.Module) -> tuple[str, ...]:
    """Return the names of the output layers that the network was published with."""
    return ("classifier",)
