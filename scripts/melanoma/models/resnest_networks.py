"""ResNeSt of its authors, as a backbone: built, its layers by depth, its classifier."""

from typing import Any

from resnest import torch as resnest
from torch import nn

from melanoma.models.layers import GeneralisedMean, Recomputed

STAGES = ("layer1", "layer2", "layer3", "layer4")


def build(name: str, size: int, settings: dict[str, Any]) -> nn.Module:
    """Return the network `name` with random weights, by the recipe's settings of the backbone; it takes any `size`."""
    network = getattr(resnest, name)()
    if settings["pooling"] == "gem":
        network.avgpool = GeneralisedMean()
    if settings["features"] == "pooled":
        network.fc = nn.Identity()
    if settings["recompute"]:
        for stage in STAGES:
            setattr(network, stage, Recomputed(*getattr(network, stage)))
    return network


def layers(network: nn.Module) -> dict[str, int]:
    """Return the depth of each parameter: 0 is the stem, each stage is one more."""
    stages = {stage: depth for depth, stage in enumerate((*STAGES, "fc"), start=1)}
    return {name: stages.get(name.partition(".")[0], 0) for name, _ in network.named_parameters()}


def classifier(network: nn.Module) -> tuple[str, ...]:
    """Return the names of the output layers that the network was published with."""
    return ("fc",)
