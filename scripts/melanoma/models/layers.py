"""Parts that several networks are built of."""

from collections.abc import Iterator
from math import log

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def hidden_layer(inputs: int, outputs: int) -> nn.Sequential:
    """Return a linear layer with batch norm and ReLU: (n, inputs) to (n, outputs)."""
    return nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU())


class GeneralizedMean(nn.Module):
    """Pools a feature map by (mean of x^p)^(1/p), with p learned from 3 (Radenovic, Tolias and Chum, 2018).

    p = 1 is average pooling, and the larger p, the nearer to the maximum. Values below `epsilon` count as it. `dims`
    are the two dimensions of positions; they stay, of length 1, with `keepdim`. Computed in float32 and through
    logarithms, so that no power overflows or vanishes.
    """

    def __init__(self, dims: tuple[int, int] = (2, 3), keepdim: bool = False, epsilon: float = 1e-6) -> None:
        super().__init__()
        self.exponent = nn.Parameter(torch.full((1,), 3.0))
        self.dims, self.keepdim, self.epsilon = dims, keepdim, epsilon

    def forward(self, features: Tensor) -> Tensor:
        """Return float32 (n, channels), or with `keepdim` the two dimensions of positions beside."""
        count = features.shape[self.dims[0]] * features.shape[self.dims[1]]
        powers = self.exponent * features.float().clamp(min=self.epsilon).log()
        return ((powers.logsumexp(self.dims, keepdim=self.keepdim) - log(count)) / self.exponent).exp()


class GradientCheckpointed(nn.Sequential):
    """A sequence of blocks that in training keep only what goes into each and compute the rest again going backward.

    The gradients are the same, dropout included. Batch norm would count the batch in both passes: see
    CheckpointedBackbone.
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


def batch_norms(network: nn.Module) -> Iterator[nn.modules.batchnorm._BatchNorm]:
    """Yield the batch norm layers of a network."""
    return (part for part in network.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm))
