"""Losses, one number for each image, so that the caller decides over which images they are averaged.

Every loss is linear in the target. So the loss of a smoothed label is the mean of the losses of the two labels,
weighted by their shares.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, softplus

from melanoma.config import optimization as options
from melanoma.training.sampling import positive_weight

Loss = Callable[[Tensor, Tensor], Tensor]
NO_DIAGNOSIS = -1


def build_loss(settings: options.Loss, targets: NDArray[np.integer]) -> Loss:
    """Return the loss for training on images with the labels `targets`, (n,) of 0 and 1.

    It takes logits (n,) of any float type and targets (n,) in [0, 1], and gives losses (n,) float32. Raises InputError
    if the weight of melanomas follows from `targets` and there is none.
    """
    loss: Loss
    match settings.name:
        case "bce":
            loss = _bce
        case "weighted_bce":
            loss = _weighted_bce(positive_weight(settings, targets))
        case "focal":
            loss = _focal(settings.gamma, settings.alpha)
    smoothing = settings.label_smoothing
    return lambda logits, labels: loss(logits.float(), labels.float() * (1 - smoothing) + smoothing / 2)


def diagnosis_loss(logits: Tensor, classes: Tensor) -> Tensor:
    """Return the cross entropy (n,) float32 of logits (n, k) and classes (n,) int64; it is 0 for class -1, unknown."""
    return cross_entropy(logits.float(), classes, ignore_index=NO_DIAGNOSIS, reduction="none")


def _bce(logits: Tensor, targets: Tensor) -> Tensor:
    return binary_cross_entropy_with_logits(logits, targets, reduction="none")


def _weighted_bce(weight: float) -> Loss:
    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        return weight * targets * softplus(-logits) + (1 - targets) * softplus(logits)

    return loss


def _focal(gamma: float, alpha: float | None) -> Loss:
    """Return the focal loss of Lin et al. (2017), equation 5: -alpha_t (1 - p_t)^gamma log(p_t)."""
    melanoma_weight, benign_weight = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        # (1 - p)^gamma is written as exp(gamma log(1 - p)), whose gradient is finite also at p = 1.
        melanoma_cross_entropy, benign_cross_entropy = softplus(-logits), softplus(logits)
        melanoma = melanoma_weight * torch.exp(-gamma * benign_cross_entropy) * melanoma_cross_entropy
        benign = benign_weight * torch.exp(-gamma * melanoma_cross_entropy) * benign_cross_entropy
        return targets * melanoma + (1 - targets) * benign

    return loss
