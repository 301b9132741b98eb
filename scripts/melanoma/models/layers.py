"""Layers that several networks have."""

from collections.abc import Iterator
from math import log

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


class FeatureNetwork(nn.Module):
    """A network whose output are features (n, width)."""

    width: int


def hidden_layer(inputs: int, outputs: int) -> nn.Sequential:
    """Return a linear layer with batch norm and ReLU, from (n, inputs) to (n, outputs)."""
    return nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU())


class GeneralizedMean(nn.Module):
    """Pools a feature map by (mean of x^p)^(1/p), where p is learned from 3 (Radenovic, Tolias and Chum, 2018).

    p = 1 is average pooling, and a larger p is nearer to the maximum. Values below `epsilon` count as `epsilon`. `dims`
    are the two dimensions of positions; with `keepdim` they remain, with length 1.
    """

    def __init__(self, dims: tuple[int, int] = (2, 3), keepdim: bool = False, epsilon: float = 1e-6) -> None:
        super().__init__()
        self.exponent = nn.Parameter(torch.full((1,), 3.0))
        self.dims, self.keepdim, self.epsilon = dims, keepdim, epsilon

    def forward(self, features: Tensor) -> Tensor:
        """Return float32 (n, channels), or with `keepdim` the same with the two dimensions of positions."""
        count = features.shape[self.dims[0]] * features.shape[self.dims[1]]
        # In float32 and through logarithms, so that no power overflows or vanishes.
        powers = self.exponent * features.float().clamp(min=self.epsilon).log()
        return ((powers.logsumexp(self.dims, keepdim=self.keepdim) - log(count)) / self.exponent).exp()


class GradientCheckpointed(nn.Sequential):
    """A sequence of blocks that keeps only the input of each block and computes the rest again in the backward pass.

    The gradients are the same, also with dropout. For batch norm see CheckpointedBackbone.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Return what a plain sequence returns."""
        for block in self:
            features = checkpoint(block, features, use_reentrant=False) if self.training else block(features)
        return features


def exponents(network: nn.Module) -> set[str]:
    """Return the names of the exponents of a network's generalized means, which no published network has."""
    means = (path for path, part in network.named_modules() if isinstance(part, GeneralizedMean))
    return {f"{path}.exponent" for path in means}


def batch_norms(network: nn.Module) -> Iterator[_BatchNorm]:
    """Yield the batch norm layers of a network."""
    return (part for part in network.modules() if isinstance(part, _BatchNorm))
