"""ResNeSt by its authors, as a backbone."""

from resnest import torch as resnest
from torch import nn

from melanoma.config import networks as options
from melanoma.models.layers import GeneralizedMean, GradientCheckpointed

STAGES = ("layer1", "layer2", "layer3", "layer4")


def build(name: str, size: int, settings: options.Backbone) -> nn.Module:
    """Return the network `name` with random weights; it takes any `size`."""
    network: nn.Module = getattr(resnest, name)()
    if settings.pooling == "gem":
        network.avgpool = GeneralizedMean()
    if settings.features == "pooled":
        network.fc = nn.Identity()
    if settings.gradient_checkpointing:
        for stage in STAGES:
            setattr(network, stage, GradientCheckpointed(*getattr(network, stage)))
    return network


def classifier(network: nn.Module) -> tuple[str, ...]:
    """Return the names of the published output layers."""
    return ("fc",)
