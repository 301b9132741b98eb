"""How well scores tell melanoma from benign: exact with ties, and for many sets of weights at once.

Everywhere: `target` is 0 (benign) or 1 (melanoma), shape (n,); `score` is any number that rises with the
risk, shape (n,); `weight` counts each image, shape (n,) or, for many replicates at once, (replicates, n);
without it each image counts once. A result has the shape of `weight` without its last axis, as float64.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Steps(NamedTuple):
    """Weights counted down the ranking, at each distinct score that a melanoma has: shape (..., steps)."""

    gained: np.ndarray  # melanomas of exactly this score
    true: np.ndarray  # melanomas of this score or a higher one
    false_above: np.ndarray  # benign images of a higher score
    false: np.ndarray  # benign images of this score or a higher one
    positives: np.ndarray  # all melanomas, shape (...)
    negatives: np.ndarray  # all benign images, shape (...)


class Ranking:
    """Images in order of falling score, ties grouped: sorted once, counted under many weights."""

    def __init__(self, target: ArrayLike, score: ArrayLike) -> None:
        """Sort the scores, which must not hold NaN."""
        target, score = _columns(target, score)
        self.order = np.argsort(-score, kind="stable")
        self.target = target[self.order]
        falling = score[self.order]
        # The last index of each group of tied scores.
        self.last = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)
        self.threshold = falling[self.last]
        # Only groups that hold a melanoma move the two areas, and there are few of them.
        self._melanomas = np.flatnonzero(self.target)
        group = np.searchsorted(self.last, self._melanomas)
        self._groups, self._starts = np.unique(group, return_index=True)

    def steps(self, weight: np.ndarray) -> Steps:
        """Count `weight`, given in ranked order (`weight[..., order]`), at each score of a melanoma."""
        every = np.cumsum(weight, axis=-1)  # in the weight's own type: a conversion here costs tenfold
        melanomas = weight[..., self._melanomas]
        total = melanomas.sum(axis=-1)
        if len(self._groups) == 0:
            none = np.zeros((*total.shape, 0))
            return Steps(none, none, none, none, total, every[..., -1])
        gained = np.add.reduceat(melanomas, self._starts, axis=-1)
        true = np.cumsum(gained, axis=-1)
        end = every[..., self.last[self._groups]]
        above = np.where(self._groups > 0, every[..., self.last[self._groups - 1]], 0.0)
        return Steps(gained, true, above - (true - gained), end - true, total, every[..., -1] - total)


def auroc(target: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> np.ndarray:
    """Return the area under the ROC curve: the chance that a melanoma outscores a benign image, ties half.

    NaN where the weights leave a single class.
    """
    ranking = Ranking(target, score)
    return auroc_of(ranking.steps(_weights(weight, len(ranking.order))[..., ranking.order]))


def average_precision(target: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> np.ndarray:
    """Return the average precision: precision at each distinct score, weighted by the recall gained there.

    This is scikit-learn's step definition, with no interpolation. NaN where the weights leave no melanoma.
    """
    ranking = Ranking(target, score)
    return average_precision_of(ranking.steps(_weights(weight, len(ranking.order))[..., ranking.order]))


def auroc_of(steps: Steps) -> np.ndarray:
    """Return the AUROC of counted steps; see `auroc`."""
    outscored = steps.negatives[..., None] - (steps.false_above + steps.false) / 2
    return _ratio((steps.gained * outscored).sum(axis=-1), steps.positives * steps.negatives)


def average_precision_of(steps: Steps) -> np.ndarray:
    """Return the average precision of counted steps; see `average_precision`."""
    seen = steps.true + steps.false
    precision = steps.true / np.where(seen > 0, seen, 1.0)
    return _ratio((steps.gained * precision).sum(axis=-1), steps.positives)


def brier(target: ArrayLike, probability: ArrayLike, weight: ArrayLike | None = None) -> np.ndarray:
    """Return the Brier score, the mean squared difference of probability and label; 0 is best."""
    target, probability = _columns(target, probability)
    weight = _weights(weight, len(target))
    return _ratio(weight @ (probability - target) ** 2, weight.sum(axis=-1))


def roc_curve(target: ArrayLike, score: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return false positive rate, true positive rate and threshold, each (k,), by falling score.

    The first point is (0, 0) at threshold infinity. Both classes must be there.
    """
    ranking = Ranking(target, score)
    true = np.cumsum(ranking.target)[ranking.last]
    false = ranking.last + 1 - true
    points = np.concatenate([[0], false / false[-1]]), np.concatenate([[0], true / true[-1]])
    return *points, np.concatenate([[np.inf], ranking.threshold])


def precision_recall_curve(target: ArrayLike, score: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return precision, recall and threshold, each (k,), at each distinct score, falling.

    There must be a melanoma.
    """
    ranking = Ranking(target, score)
    true = np.cumsum(ranking.target)[ranking.last]
    return true / (ranking.last + 1), true / true[-1], ranking.threshold


@dataclass(frozen=True)
class Confusion:
    """Weighted counts of the four outcomes at a threshold, each of shape (...), and the rates made of them.

    A rate is NaN where its denominator is 0.
    """

    tp: np.ndarray
    fp: np.ndarray
    tn: np.ndarray
    fn: np.ndarray

    @cached_property
    def sensitivity(self) -> np.ndarray:
        """Share of the melanomas that are called melanoma."""
        return _ratio(self.tp, self.tp + self.fn)

    @cached_property
    def specificity(self) -> np.ndarray:
        """Share of the benign images that are called benign."""
        return _ratio(self.tn, self.tn + self.fp)

    @cached_property
    def precision(self) -> np.ndarray:
        """Share of those called melanoma that are."""
        return _ratio(self.tp, self.tp + self.fp)

    @cached_property
    def balanced_accuracy(self) -> np.ndarray:
        """Mean of sensitivity and specificity."""
        return (self.sensitivity + self.specificity) / 2

    @cached_property
    def g_mean(self) -> np.ndarray:
        """Geometric mean of sensitivity and specificity."""
        return np.sqrt(self.sensitivity * self.specificity)

    @cached_property
    def f2(self) -> np.ndarray:
        """F-measure that counts recall twice as much as precision."""
        return _ratio(5 * self.tp, 5 * self.tp + 4 * self.fn + self.fp)

    @cached_property
    def kappa(self) -> np.ndarray:
        """Cohen's kappa: agreement of call and label beyond chance."""
        lost = (self.tp + self.fp) * (self.fp + self.tn) + (self.tp + self.fn) * (self.fn + self.tn)
        return _ratio(2 * (self.tp * self.tn - self.fn * self.fp), lost)


def confusion(target: ArrayLike, score: ArrayLike, threshold: float, weight: ArrayLike | None = None) -> Confusion:
    """Count outcomes where a score of `threshold` or more is called melanoma."""
    weight = _weights(weight, len(np.asarray(target)))
    return Confusion(*np.moveaxis(weight @ outcomes(target, score, threshold), -1, 0))


def outcomes(target: ArrayLike, score: ArrayLike, threshold: float) -> np.ndarray:
    """Return, per image, in which of TP, FP, TN, FN it falls: float64 0/1, shape (n, 4)."""
    target, score = _columns(target, score)
    melanoma, called = target == 1, score >= threshold
    cells = [melanoma & called, ~melanoma & called, ~melanoma & ~called, melanoma & ~called]
    return np.stack(cells, axis=-1).astype(np.float64)


def _columns(target: ArrayLike, score: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    target, score = np.asarray(target), np.asarray(score, dtype=np.float64)
    if target.shape != score.shape or target.ndim != 1 or len(target) == 0:
        raise ValueError(f"target and score must be one row of numbers each, got {target.shape} and {score.shape}")
    if not np.isin(target, (0, 1)).all():
        raise ValueError("target must be 0 or 1")
    if np.isnan(score).any():
        raise ValueError("score must not be NaN")
    return target.astype(np.int64), score


def _weights(weight: ArrayLike | None, n: int) -> np.ndarray:
    return np.ones(n) if weight is None else np.asarray(weight, dtype=np.float64)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    numerator, denominator = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    return np.divide(numerator, denominator, out=np.full(denominator.shape, np.nan), where=denominator > 0)
