"""ResNeSt of its authors, as a backbone: built, and its classifier."""

from typing import Any

from resnest import torch as resnest
from torch import nn

from melanoma.models.layers import GeneralizedMean, GradientCheckpointed

STAGES = ("layer1", "layer2", "layer3", "layer4")


def build(name: str, size: int, settings: dict[str, Any]) -> nn.Module:
    """Return the network `name` with random weights, by the recipe's settings of the backbone; it takes any `size`."""
    network = getattr(resnest, name)()
    if settings["pooling"] == "gem":
        network.avgpool = GeneralizedMean()
    if settings["features"] == "pooled":
        network.fc = nn.Identity()
    if settings["gradient_checkpointing"]:
        for stage in STAGES:
            setattr(network, stage, GradientCheckpointed(*getattr(network, stage)))
    return network


def classifier(network: nn.Module) -> tuple[str, ...]:
    """Return the names of the output layers that the network was published with."""
    return ("fc",)
