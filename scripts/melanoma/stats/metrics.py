"""How well scores tell melanoma from benign: exact with ties, and under many weights at once.

Every metric is a function of a few sums over the images, and each sum is linear in how often each image counts. So a
measure has two halves: `matrix`, sparse float64 (sums, n), whose product with weights, (n,) or (n, replicates), gives
the sums, and `metrics`, which turns sums, (sums,) or (sums, replicates), into named metrics, () or (replicates,).

Everywhere: `target` is 0 (benign) or 1 (melanoma), shape (n,); `score` is any number that rises with the risk, shape
(n,), and `probability` such a number from 0 to 1; `weight` counts each image, shape (n,) or (n, replicates); without it
each image counts once. A metric that the weights leave undefined, such as an AUROC of a single class, is NaN.
ValueError is raised for labels but 0 and 1, for NaN, and without a row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

OPERATING_POINTS = (0.80, 0.90, 0.95)  # the specificities at which sensitivity is reported, and the reverse
SENSITIVITY_AT = {f"sensitivity_at_{100 * point:.0f}_specificity": point for point in OPERATING_POINTS}
SPECIFICITY_AT = {f"specificity_at_{100 * point:.0f}_sensitivity": point for point in OPERATING_POINTS}
# Quantiles of scores decide these: they are not smooth, where all other metrics are smooth in the weights.
NON_SMOOTH = frozenset(SENSITIVITY_AT) | frozenset(SPECIFICITY_AT)
LEAST_SENSITIVITY = 0.80  # of the partial AUROC
BINS = 15  # of the expected calibration error
CERTAIN = np.finfo(np.float64).eps  # how near to 0 and 1 a probability may come where its logarithm is taken
RATES = ("sensitivity", "specificity", "ppv", "npv", "balanced_accuracy", "f1", "f2", "g_mean", "kappa")


class Measure(Protocol):
    """Metrics that are functions of the same sums over the images."""

    matrix: sparse.csr_array

    def metrics(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """Return each metric by its name."""
        ...


def measured(measure: Measure, weight: ArrayLike | None = None) -> dict[str, np.ndarray]:
    """Return the metrics of a measure by name, each of shape () or (replicates,)."""
    n = measure.matrix.shape[1]
    return measure.metrics(measure.matrix @ (np.ones(n) if weight is None else np.asarray(weight, np.float64)))


class Steps(NamedTuple):
    """Weights counted down the ranking, at each distinct score that a melanoma has: shape (steps, ...)."""

    gained: np.ndarray  # melanomas of exactly this score
    true: np.ndarray  # melanomas of this score or a higher one
    tied: np.ndarray  # benign images of exactly this score
    false: np.ndarray  # benign images of this score or a higher one
    positives: np.ndarray  # all melanomas, shape (...)
    negatives: np.ndarray  # all benign images, shape (...)


class Ranking:
    """What the order of the scores tells: areas under curves, and one rate where the other is given.

    Only scores that a melanoma has are steps: between them a ROC curve runs level, and they are few.
    """

    def __init__(self, target: ArrayLike, score: ArrayLike) -> None:
        """Sort the scores once for all weights."""
        target, score = _columns(target, score)
        melanoma = target == 1
        falling = np.unique(score[melanoma])[::-1]
        step = np.searchsorted(-falling, -score)
        passed = ~melanoma & (step < len(falling))
        tied = passed.copy()
        tied[passed] = falling[step[passed]] == score[passed]
        by_step = [indicators(step, members, len(falling)) for members in (melanoma, passed, tied)]
        classes = indicators(1 - target, np.ones(len(target), bool), 2)
        self.matrix = sparse.vstack([*by_step, classes], format="csr")

    def steps(self, sums: np.ndarray) -> Steps:
        """Return the sums as what they count."""
        gained, passed, tied = np.split(sums[:-2], 3)
        return Steps(gained, np.cumsum(gained, axis=0), tied, np.cumsum(passed, axis=0), sums[-2], sums[-1])

    def metrics(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """Return auroc, average_precision, partial_auroc, and the rates at the operating points."""
        steps = self.steps(sums)
        return {
            "auroc": auroc_of(steps),
            "average_precision": average_precision_of(steps),
            "partial_auroc": partial_auroc_of(steps, LEAST_SENSITIVITY),
            **{name: sensitivity_at(steps, point) for name, point in SENSITIVITY_AT.items()},
            **{name: specificity_at(steps, point) for name, point in SPECIFICITY_AT.items()},
        }


def auroc(target: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> np.ndarray:
    """Return the area under the ROC curve: the chance that a melanoma outscores a benign image, ties half."""
    return measured(Ranking(target, score), weight)["auroc"]


def average_precision(target: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> np.ndarray:
    """Return the average precision: precision at each distinct score, weighted by the recall gained there.

    This is scikit-learn's step definition, with no interpolation.
    """
    return measured(Ranking(target, score), weight)["average_precision"]


def auroc_of(steps: Steps) -> np.ndarray:
    """Return the AUROC of counted steps; see `auroc`."""
    outscored = steps.negatives - steps.false + steps.tied / 2
    return ratio((steps.gained * outscored).sum(axis=0), steps.positives * steps.negatives)


def average_precision_of(steps: Steps) -> np.ndarray:
    """Return the average precision of counted steps; see `average_precision`."""
    precision = steps.true / np.maximum(steps.true + steps.false, np.finfo(np.float64).tiny)
    return ratio((steps.gained * precision).sum(axis=0), steps.positives)


def partial_auroc_of(steps: Steps, sensitivity: float) -> np.ndarray:
    """Return the area under the ROC curve and above a sensitivity, from 0 to 1 - `sensitivity`.

    Above .8 this is the score of the ISIC 2024 challenge (Kurtansky et al., Scientific Data 11:884, 2024). A step of
    tied scores is a straight slope, as in the AUROC.
    """
    above = np.clip(steps.true - sensitivity * steps.positives, 0.0, steps.gained)
    share = above / np.maximum(steps.gained, np.finfo(np.float64).tiny)
    outscored = steps.negatives - steps.false + steps.tied * share / 2
    return ratio((above * outscored).sum(axis=0), steps.positives * steps.negatives)


def sensitivity_at(steps: Steps, specificity: float) -> np.ndarray:
    """Return the highest sensitivity of a threshold whose specificity is `specificity` or more."""
    specific = ratio(steps.negatives - steps.false, steps.negatives) >= specificity
    found = ratio(np.where(specific, steps.true, 0.0).max(axis=0, initial=0.0), steps.positives)
    return np.where(steps.negatives > 0, found, np.nan)


def specificity_at(steps: Steps, sensitivity: float) -> np.ndarray:
    """Return the highest specificity of a threshold whose sensitivity is `sensitivity` or more."""
    sensitive = ratio(steps.true, steps.positives) >= sensitivity
    rejected = steps.negatives - steps.false
    found = ratio(np.where(sensitive, rejected, 0.0).max(axis=0, initial=0.0), steps.negatives)
    return np.where(steps.positives > 0, found, np.nan)


class Calibration:
    """What the probabilities themselves are worth: brier, log_loss and ece, all best at 0.

    ece, the expected calibration error, is the mean over images of |mean probability - share of melanomas| in the
    image's bin. The bins are `BINS` of equal width, each with its upper edge (Naeini, Cooper and Hauskrecht, AAAI 2015;
    Guo et al., ICML 2017).
    """

    def __init__(self, target: ArrayLike, probability: ArrayLike) -> None:
        """Take each image's errors."""
        target, probability = _columns(target, probability)
        truth = np.where(target == 1, probability, 1.0 - probability).clip(CERTAIN, 1.0 - CERTAIN)
        bins = np.digitize(probability, np.linspace(0, 1, BINS + 1)[1:-1], right=True)
        excess = indicators(bins, np.ones(len(target), bool), BINS) * (probability - target)
        plain = sparse.csr_array(np.stack([np.ones(len(target)), (probability - target) ** 2, -np.log(truth)]))
        self.matrix = sparse.vstack([plain, excess], format="csr")

    def metrics(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """Return brier, log_loss and ece."""
        images, squared, logarithmic = sums[:3]
        return {
            "brier": ratio(squared, images),
            "log_loss": ratio(logarithmic, images),
            "ece": ratio(np.abs(sums[3:]).sum(axis=0), images),
        }


class Bin:
    """What probabilities promise some of the images, and what they keep."""

    def __init__(self, target: ArrayLike, probability: ArrayLike, members: ArrayLike) -> None:
        """Take the images that `members`, bool (n,), marks."""
        target, probability = _columns(target, probability)
        inside = np.asarray(members, np.float64)
        self.matrix = sparse.csr_array(np.stack([inside, inside * probability, inside * target]))

    def metrics(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """Return predicted, the mean probability, and observed, the share of melanomas."""
        return {"predicted": ratio(sums[1], sums[0]), "observed": ratio(sums[2], sums[0])}


def brier(target: ArrayLike, probability: ArrayLike, weight: ArrayLike | None = None) -> np.ndarray:
    """Return the Brier score, the mean squared difference of probability and label; 0 is best."""
    return measured(Calibration(target, probability), weight)["brier"]


def log_loss(target: ArrayLike, probability: ArrayLike, weight: ArrayLike | None = None) -> np.ndarray:
    """Return the mean negative logarithm of the probability of what is true, kept off 0 and 1 by `CERTAIN`."""
    return measured(Calibration(target, probability), weight)["log_loss"]


@dataclass(frozen=True)
class Confusion:
    """Weighted counts of the four outcomes at a threshold, each of shape (...), and the rates made of them."""

    tp: np.ndarray
    fp: np.ndarray
    tn: np.ndarray
    fn: np.ndarray

    @cached_property
    def sensitivity(self) -> np.ndarray:
        """Share of the melanomas that are called melanoma."""
        return ratio(self.tp, self.tp + self.fn)

    @cached_property
    def specificity(self) -> np.ndarray:
        """Share of the benign images that are called benign."""
        return ratio(self.tn, self.tn + self.fp)

    @cached_property
    def ppv(self) -> np.ndarray:
        """Positive predictive value, precision: share of those called melanoma that are."""
        return ratio(self.tp, self.tp + self.fp)

    @cached_property
    def npv(self) -> np.ndarray:
        """Negative predictive value: share of those called benign that are."""
        return ratio(self.tn, self.tn + self.fn)

    @cached_property
    def balanced_accuracy(self) -> np.ndarray:
        """Mean of sensitivity and specificity; Youden's index is twice it less 1."""
        return (self.sensitivity + self.specificity) / 2

    @cached_property
    def f1(self) -> np.ndarray:
        """Harmonic mean of sensitivity and positive predictive value."""
        return ratio(2 * self.tp, 2 * self.tp + self.fn + self.fp)

    @cached_property
    def f2(self) -> np.ndarray:
        """F-measure that counts sensitivity twice as much as positive predictive value."""
        return ratio(5 * self.tp, 5 * self.tp + 4 * self.fn + self.fp)

    @cached_property
    def g_mean(self) -> np.ndarray:
        """Geometric mean of sensitivity and specificity."""
        return np.sqrt(self.sensitivity * self.specificity)

    @cached_property
    def kappa(self) -> np.ndarray:
        """Cohen's kappa: agreement of call and label beyond chance."""
        lost = (self.tp + self.fp) * (self.fp + self.tn) + (self.tp + self.fn) * (self.fn + self.tn)
        return ratio(2 * (self.tp * self.tn - self.fn * self.fp), lost)


class Outcomes:
    """What follows from calling a score of `threshold` or more melanoma."""

    def __init__(self, target: ArrayLike, score: ArrayLike, threshold: float) -> None:
        """Take each image's outcome."""
        target, score = _columns(target, score)
        cell = np.where(score >= threshold, 1 - target, 2 + target)
        self.matrix = indicators(cell, np.ones(len(target), bool), 4)

    def metrics(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """Return `RATES`."""
        cells = Confusion(*sums)
        return {rate: getattr(cells, rate) for rate in RATES}


def confusion(target: ArrayLike, score: ArrayLike, threshold: float, weight: ArrayLike | None = None) -> Confusion:
    """Count outcomes where a score of `threshold` or more is called melanoma."""
    matrix = Outcomes(target, score, threshold).matrix
    return Confusion(*(matrix @ (np.ones(matrix.shape[1]) if weight is None else np.asarray(weight, np.float64))))


class NetBenefit:
    """Net benefit of acting on a probability of a threshold or more, at each of several threshold probabilities.

    It is the share of images that are rightly acted on, less the share wrongly acted on times the threshold's odds:
    the threshold is the risk at which harm and benefit of acting are held equal (Vickers and Elkin, Medical Decision
    Making 26:565, 2006).
    """

    def __init__(self, target: ArrayLike, probability: ArrayLike, thresholds: Sequence[float]) -> None:
        """Take thresholds from above 0 to below 1."""
        target, probability = _columns(target, probability)
        self.thresholds = list(thresholds)
        if not all(0 < threshold < 1 for threshold in self.thresholds):
            raise ValueError(f"threshold probabilities must be above 0 and below 1: got {self.thresholds}")
        odds = np.array([threshold / (1 - threshold) for threshold in self.thresholds])[:, None]
        acted = probability >= np.array(self.thresholds)[:, None]
        benefit = sparse.csr_array(np.where(acted, np.where(target == 1, 1.0, -odds), 0.0))
        self.matrix = sparse.vstack([benefit, sparse.csr_array(np.ones((1, len(target))))], format="csr")

    def metrics(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """Return the net benefit by threshold, written as a plain number."""
        return {str(threshold): ratio(row, sums[-1]) for threshold, row in zip(self.thresholds, sums, strict=False)}


def roc_curve(target: ArrayLike, score: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return false positive rate, true positive rate and threshold, each (k,), by falling score.

    The first point is (0, 0) at threshold infinity. Both classes must be there.
    """
    false, true, threshold = outcomes_by_threshold(target, score)
    points = np.concatenate([[0], false / false[-1]]), np.concatenate([[0], true / true[-1]])
    return *points, np.concatenate([[np.inf], threshold])


def precision_recall_curve(target: ArrayLike, score: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return precision, recall and threshold, each (k,), at each distinct score, falling.

    There must be a melanoma.
    """
    false, true, threshold = outcomes_by_threshold(target, score)
    return true / (true + false), true / true[-1], threshold


def outcomes_by_threshold(target: ArrayLike, score: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how many benign images and melanomas have each distinct score or more, and the scores, falling."""
    target, score = _columns(target, score)
    order = np.argsort(-score, kind="stable")
    falling = score[order]
    last = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)
    true = np.cumsum(target[order])[last]
    return last + 1 - true, true, falling[last]


def indicators(row: np.ndarray, members: np.ndarray, rows: int) -> sparse.csr_array:
    """Return 1 in row `row[i]` of column i for each of the members: sparse (rows, n)."""
    column = np.flatnonzero(members)
    return sparse.csr_array((np.ones(len(column)), (row[column], column)), shape=(rows, len(row)))


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> np.ndarray:
    """Return numerator / denominator, float64, NaN where the denominator is not above 0."""
    numerator, denominator = np.broadcast_arrays(np.asarray(numerator, np.float64), np.asarray(denominator, np.float64))
    return np.divide(numerator, denominator, out=np.full(denominator.shape, np.nan), where=denominator > 0)


def _columns(target: ArrayLike, score: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    target, score = np.asarray(target), np.asarray(score, dtype=np.float64)
    if target.shape != score.shape or target.ndim != 1 or len(target) == 0:
        raise ValueError(f"target and score must be one row of numbers each, got {target.shape} and {score.shape}")
    if not np.isin(target, (0, 1)).all():
        raise ValueError("target must be 0 or 1")
    if np.isnan(score).any():
        raise ValueError("score must not be NaN")
    return target.astype(np.int64), score
