"""DeLong's variance of AUROCs and his paired test, for images that are independent of each other.

DeLong, DeLong and Clarke-Pearson, Biometrics 44:837 (1988), by the ranks of Sun and Xu, IEEE Signal Processing Letters
21:1389 (2014). Images of one patient are not independent: the clustered bootstrap is the test to believe, and this one
the test to compare with other work.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr


class Comparison(NamedTuple):
    """The first model's AUROC less the second's, its standard error, z and two-sided p."""

    difference: float
    standard_error: float
    z: float
    p: float


def delong_covariance(target: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return the models' AUROCs (models,) and their covariance (models, models).

    `target` is 0 or 1, (n,); `scores` (models, n). The covariance is NaN unless each class has two images.
    """
    melanoma = np.asarray(target) == 1
    scores = np.asarray(scores, np.float64)
    positives, negatives = int(melanoma.sum()), int((~melanoma).sum())
    ranks = average_ranks(scores)
    # Of each melanoma the share of benign images that it outscores, of each benign image the share that outscores it.
    outscoring = (ranks[:, melanoma] - average_ranks(scores[:, melanoma])) / negatives
    outscored = 1 - (ranks[:, ~melanoma] - average_ranks(scores[:, ~melanoma])) / positives
    if min(positives, negatives) < 2:
        return outscoring.mean(axis=1), np.full((len(scores), len(scores)), np.nan)
    covariance = np.cov(outscoring) / positives + np.cov(outscored) / negatives
    return outscoring.mean(axis=1), np.atleast_2d(covariance)


def delong_test(target: ArrayLike, first: ArrayLike, second: ArrayLike) -> Comparison:
    """Test whether two scores of the same images have the same AUROC; two scores that never differ have p 1."""
    areas, covariance = delong_covariance(target, np.stack([first, second]))
    difference = float(areas[0] - areas[1])
    return z_test(difference, float(np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0.0))))


def average_ranks(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank of each score in its row, from 1; equal scores share the mean of their ranks.

    `scores` (rows, n) have no NaN; float64 of the same shape. Here, because scipy.stats, whose rankdata does the same,
    takes half a second to import.
    """
    order = scores.argsort(axis=1, kind="stable")
    ordered = np.take_along_axis(scores, order, axis=1)
    ranks = np.empty(scores.shape)
    for row, places, values in zip(ranks, order, ordered, strict=True):
        first = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
        last = np.append(first[1:], len(values))
        row[places] = np.repeat((first + 1 + last) / 2, last - first)
    return ranks


def z_test(difference: float, standard_error: float) -> Comparison:
    """Test whether a normal difference of known standard error is 0."""
    if standard_error == 0:
        z = 0.0 if difference == 0 else float(np.copysign(np.inf, difference))
    else:
        z = difference / standard_error
    return Comparison(difference, standard_error, z, float(2 * ndtr(-abs(z))))
