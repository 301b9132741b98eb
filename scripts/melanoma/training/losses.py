"""Losses, one number for each image, so that whoever sums them decides what they are averaged over.

Every loss is linear in the target: the loss of a soft target, from label smoothing, is the mean of the losses of the two
labels, weighted by their shares.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, softplus

from melanoma.training.sampling import positive_weight

Loss = Callable[[Tensor, Tensor], Tensor]
NO_DIAGNOSIS = -1


def build_loss(settings: dict[str, Any], targets: NDArray[np.integer]) -> Loss:
    """Return the loss of the recipe's `settings`, for training on images with the labels `targets`, (n,) of 0 and 1.

    It takes logits (n,) of any float type and targets (n,) in [0, 1], and gives losses (n,) float32. Raises InputError
    where `targets` must yield a weight and have no melanoma.
    """
    match settings["name"]:
        case "weighted_bce":
            loss = _weighted_bce(positive_weight(settings, targets))
        case "focal":
            loss = _focal(settings["gamma"], settings["alpha"])
        case _:
            loss = _bce
    smoothing = settings["label_smoothing"]
    return lambda logits, labels: loss(logits.float(), labels.float() * (1 - smoothing) + smoothing / 2)


def diagnosis_loss(logits: Tensor, classes: Tensor) -> Tensor:
    """Return the cross entropy (n,) float32 of logits (n, k) and classes (n,) int64; 0 where the class is -1, none."""
    return cross_entropy(logits.float(), classes, ignore_index=NO_DIAGNOSIS, reduction="none")


def _bce(logits: Tensor, targets: Tensor) -> Tensor:
    return binary_cross_entropy_with_logits(logits, targets, reduction="none")


def _weighted_bce(weight: float) -> Loss:
    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        return weight * targets * softplus(-logits) + (1 - targets) * softplus(logits)

    return loss


def _focal(gamma: float, alpha: float | None) -> Loss:
    """The focal loss of Lin et al. (2017), equation 5: -alpha_t (1 - p_t)^gamma log(p_t).

    The power is that of a softplus, whose gradient is finite everywhere, which that of 0 ^ gamma is not.
    """
    melanoma, benign = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        surprise, opposite = softplus(-logits), softplus(logits)
        of_melanoma = melanoma * torch.exp(-gamma * opposite) * surprise
        of_benign = benign * torch.exp(-gamma * surprise) * opposite
        return targets * of_melanoma + (1 - targets) * of_benign

    return loss
