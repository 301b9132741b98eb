"""DeLong's variance of AUROCs and DeLong's paired test, for images that are independent of each other.

DeLong, DeLong and Clarke-Pearson, Biometrics 44:837 (1988), by the ranks of Sun and Xu, IEEE Signal Processing Letters
21:1389 (2014). Images of one patient are not independent, so the bootstrap over patients is the valid test. This one is
for comparison with other publications.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from melanoma.stats.metrics import Floats


class Comparison(NamedTuple):
    """The AUROC of the first model minus that of the second, its standard error, z and two-sided p."""

    difference: float
    standard_error: float
    z: float
    p: float


def delong_covariance(target: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats]:
    """Return the AUROCs of the models, (models,), and their covariance, (models, models).

    `target` is 0 or 1, (n,); `scores` is (models, n). The covariance is NaN if a class has fewer than two images.
    """
    melanoma = np.asarray(target) == 1
    scores = np.asarray(scores, np.float64)
    positives, negatives = int(melanoma.sum()), int((~melanoma).sum())
    ranks = average_ranks(scores)
    # For each melanoma, the share of benign images with a lower score: its rank among all images minus its rank among
    # the melanomas. For each benign image, the share of melanomas with a higher score. Ties count half.
    outscoring = (ranks[:, melanoma] - average_ranks(scores[:, melanoma])) / negatives
    outscored = 1 - (ranks[:, ~melanoma] - average_ranks(scores[:, ~melanoma])) / positives
    if min(positives, negatives) < 2:
        return outscoring.mean(axis=1), np.full((len(scores), len(scores)), np.nan)
    covariance = np.cov(outscoring) / positives + np.cov(outscored) / negatives
    return outscoring.mean(axis=1), np.atleast_2d(covariance)


def delong_test(target: ArrayLike, first: ArrayLike, second: ArrayLike) -> Comparison:
    """Test whether two scores of the same images have the same AUROC; for equal scores p is 1."""
    areas, covariance = delong_covariance(target, np.stack([first, second]))
    difference = float(areas[0] - areas[1])
    return z_test(difference, float(np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0.0))))


def average_ranks(scores: Floats) -> Floats:
    """Return the rank of each score in its row, from 1, float64 (rows, n); equal scores have the mean of their ranks.

    `scores` (rows, n) have no NaN. rankdata of scipy.stats does the same, but its import takes half a second.
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
    """Test whether a difference is 0, if it is normal with this standard error."""
    if standard_error == 0:
        z = 0.0 if difference == 0 else float(np.copysign(np.inf, difference))
    else:
        z = difference / standard_error
    return Comparison(difference, standard_error, z, float(2 * ndtr(-abs(z))))
