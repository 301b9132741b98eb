"""Metrics of scores and probabilities, exact with ties, under many weights of the images at once.

Every metric is a function of a few sums over the images, and each sum is linear in the weights of the images. So a
measure has two halves. `matrix` is sparse float64 (sums, n); its product with weights, (n,) or (n, replicates), gives
the sums. `metrics` turns sums, (sums,) or (sums, replicates), into named metrics, () or (replicates,).

Everywhere: `target` is 0 (benign) or 1 (melanoma), shape (n,). `score` is any number that rises with the risk, shape
(n,), and `probability` is such a number from 0 to 1. `weight` is how often each image counts, shape (n,) or
(n, replicates); without it each image counts once. A metric that the weights leave undefined, such as an AUROC of a
single class, is NaN. Labels other than 0 and 1, NaN, and tables without a row raise ValueError.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from melanoma.stats.log_odds import clipped

Floats = NDArray[np.float64]
OPERATING_POINTS = (0.80, 0.90, 0.95)  # specificities at which sensitivity is reported, and the reverse
SENSITIVITY_AT = {f"sensitivity_at_{100 * point:.0f}_specificity": point for point in OPERATING_POINTS}
SPECIFICITY_AT = {f"specificity_at_{100 * point:.0f}_sensitivity": point for point in OPERATING_POINTS}
# These depend on quantiles of the scores, so they are not smooth in the weights. All other metrics are.
NON_SMOOTH = frozenset(SENSITIVITY_AT) | frozenset(SPECIFICITY_AT)
LEAST_SENSITIVITY = 0.80  # of the partial AUROC
BINS = 15  # of the expected calibration error
RATES = ("sensitivity", "specificity", "ppv", "npv", "balanced_accuracy", "f1", "f2", "g_mean", "kappa")


class Measure(Protocol):
    """Metrics that are functions of the same sums over the images."""

    @property
    def matrix(self) -> sparse.csr_array:
        """The factors of the images in each sum, (sums, n)."""

    def metrics(self, sums: Floats) -> dict[str, Floats]:
        """Return each metric by its name."""


def measured(measure: Measure, weight: ArrayLike | None = None) -> dict[str, Floats]:
    """Return the metrics of a measure by name, each of shape () or (replicates,)."""
    n = measure.matrix.shape[1]
    return measure.metrics(measure.matrix @ (np.ones(n) if weight is None else np.asarray(weight, np.float64)))


class Steps(NamedTuple):
    """Weights of the images at each step of the ROC curve, a distinct score of a melanoma, by falling score.

    Each of the first four has shape (steps, ...), the last two have shape (...).
    """

    gained: Floats  # melanomas with exactly this score
    true: Floats  # melanomas with this score or a higher one
    tied: Floats  # benign images with exactly this score
    false: Floats  # benign images with this score or a higher one
    positives: Floats  # all melanomas
    negatives: Floats  # all benign images

    def auroc(self) -> Floats:
        """Return the AUROC, see `auroc`."""
        # Each melanoma of a step wins against the benign images with a lower score, and half against those that tie.
        lower = self.negatives - self.false + self.tied / 2
        return ratio((self.gained * lower).sum(axis=0), self.positives * self.negatives)

    def average_precision(self) -> Floats:
        """Return the average precision, see `average_precision`."""
        precision = self.true / np.maximum(self.true + self.false, np.finfo(np.float64).tiny)
        return ratio((self.gained * precision).sum(axis=0), self.positives)

    def partial_auroc(self, sensitivity: float) -> Floats:
        """Return the area under the ROC curve and above a sensitivity, from 0 to 1 - `sensitivity`.

        Above .8 this is the score of the ISIC 2024 challenge (Kurtansky et al., Scientific Data 11:884, 2024). A step
        of tied scores is a straight slope, as in the AUROC.
        """
        # The melanomas of each step above the sensitivity: of one step a part, of the later ones all.
        above = np.clip(self.true - sensitivity * self.positives, 0.0, self.gained)
        share = above / np.maximum(self.gained, np.finfo(np.float64).tiny)
        # On the straight slope of the step they are the last `share` of it: on average, share / 2 of the benign images
        # that tie count as lower.
        lower = self.negatives - self.false + self.tied * share / 2
        return ratio((above * lower).sum(axis=0), self.positives * self.negatives)

    def sensitivity_at(self, specificity: float) -> Floats:
        """Return the highest sensitivity of a threshold whose specificity is `specificity` or more."""
        specific = ratio(self.negatives - self.false, self.negatives) >= specificity
        highest = ratio(np.where(specific, self.true, 0.0).max(axis=0, initial=0.0), self.positives)
        return np.where(self.negatives > 0, highest, np.nan)

    def specificity_at(self, sensitivity: float) -> Floats:
        """Return the highest specificity of a threshold whose sensitivity is `sensitivity` or more."""
        sensitive = ratio(self.true, self.positives) >= sensitivity
        rejected = self.negatives - self.false
        highest = ratio(np.where(sensitive, rejected, 0.0).max(axis=0, initial=0.0), self.negatives)
        return np.where(self.positives > 0, highest, np.nan)


class Ranking:
    """Metrics of the order of the scores: areas under curves, and sensitivity or specificity where the other is given.

    A ROC curve rises only at the scores of melanomas, and these are few. So the sums are counted at these steps alone.
    """

    def __init__(self, target: ArrayLike, score: ArrayLike) -> None:
        """Sort the scores once for all weights."""
        target, score = _columns(target, score)
        melanoma = target == 1
        falling = np.unique(score[melanoma])[::-1]
        # The step of an image: the highest score of a melanoma that is not above its own. From there on it is counted.
        step = np.searchsorted(-falling, -score)
        passed = ~melanoma & (step < len(falling))  # benign images below all melanomas are in no step
        tied = passed.copy()
        tied[passed] = falling[step[passed]] == score[passed]
        by_step = [indicators(step, members, len(falling)) for members in (melanoma, passed, tied)]
        classes = indicators(1 - target, np.ones(len(target), bool), 2)
        # Rows: three blocks of one row for each step, then all melanomas and all benign images.
        self.matrix = sparse.vstack([*by_step, classes], format="csr")

    def steps(self, sums: Floats) -> Steps:
        """Return the sums as counts at the steps."""
        gained, passed, tied = np.split(sums[:-2], 3)
        return Steps(gained, np.cumsum(gained, axis=0), tied, np.cumsum(passed, axis=0), sums[-2], sums[-1])

    def metrics(self, sums: Floats) -> dict[str, Floats]:
        """Return auroc, average_precision, partial_auroc, and the rates at the operating points."""
        steps = self.steps(sums)
        return {
            "auroc": steps.auroc(),
            "average_precision": steps.average_precision(),
            "partial_auroc": steps.partial_auroc(LEAST_SENSITIVITY),
            **{name: steps.sensitivity_at(point) for name, point in SENSITIVITY_AT.items()},
            **{name: steps.specificity_at(point) for name, point in SPECIFICITY_AT.items()},
        }


class Auroc(Ranking):
    """The AUROC alone."""

    def metrics(self, sums: Floats) -> dict[str, Floats]:
        """Return auroc."""
        return {"auroc": self.steps(sums).auroc()}


def auroc(target: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> Floats:
    """Return the area under the ROC curve: the chance that a melanoma has a higher score than a benign image.

    A tie counts half.
    """
    return measured(Auroc(target, score), weight)["auroc"]


def average_precision(target: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> Floats:
    """Return the average precision: precision at each distinct score, weighted by the recall gained there.

    This is scikit-learn's step definition, with no interpolation.
    """
    return measured(Ranking(target, score), weight)["average_precision"]


class Calibration:
    """Metrics of the probabilities: brier, log_loss and ece. For all of them 0 is best.

    brier is the mean squared difference of probability and label. log_loss is the mean negative logarithm of the
    probability of the true class, clipped as in `log_odds`. ece, the expected calibration error, is the mean over
    images of |mean probability - share of melanomas| in the image's bin. The `BINS` bins have equal width, and each
    includes its upper edge (Naeini, Cooper and Hauskrecht, AAAI 2015; Guo et al., ICML 2017).
    """

    def __init__(self, target: ArrayLike, probability: ArrayLike) -> None:
        """Compute the errors of each image."""
        target, probability = _columns(target, probability)
        truth = clipped(np.where(target == 1, probability, 1.0 - probability))
        bins = np.digitize(probability, np.linspace(0, 1, BINS + 1)[1:-1], right=True)
        excess = indicators(bins, np.ones(len(target), bool), BINS) * (probability - target)
        plain = sparse.csr_array(np.stack([np.ones(len(target)), (probability - target) ** 2, -np.log(truth)]))
        self.matrix = sparse.vstack([plain, excess], format="csr")

    def metrics(self, sums: Floats) -> dict[str, Floats]:
        """Return brier, log_loss and ece."""
        images, squared, logarithmic = sums[:3]
        return {
            "brier": ratio(squared, images),
            "log_loss": ratio(logarithmic, images),
            "ece": ratio(np.abs(sums[3:]).sum(axis=0), images),
        }


class Bin:
    """Predicted and observed share of melanomas among some of the images: a point of a reliability curve."""

    def __init__(self, target: ArrayLike, probability: ArrayLike, members: ArrayLike) -> None:
        """Take `members`, bool (n,): which images are in the bin."""
        target, probability = _columns(target, probability)
        inside = np.asarray(members, np.float64)
        self.matrix = sparse.csr_array(np.stack([inside, inside * probability, inside * target]))

    def metrics(self, sums: Floats) -> dict[str, Floats]:
        """Return predicted, the mean probability, and observed, the share of melanomas."""
        return {"predicted": ratio(sums[1], sums[0]), "observed": ratio(sums[2], sums[0])}


def log_loss(target: ArrayLike, probability: ArrayLike, weight: ArrayLike | None = None) -> Floats:
    """Return the log loss, see `Calibration`."""
    return measured(Calibration(target, probability), weight)["log_loss"]


@dataclass(frozen=True)
class Confusion:
    """Weighted counts of the four outcomes at a threshold, each of shape (...), and the rates that follow from them."""

    tp: Floats
    fp: Floats
    tn: Floats
    fn: Floats

    @cached_property
    def sensitivity(self) -> Floats:
        """Share of the melanomas that are called melanoma: recall."""
        return ratio(self.tp, self.tp + self.fn)

    @cached_property
    def specificity(self) -> Floats:
        """Share of the benign images that are called benign."""
        return ratio(self.tn, self.tn + self.fp)

    @cached_property
    def ppv(self) -> Floats:
        """Positive predictive value, precision: share of melanomas among the images called melanoma."""
        return ratio(self.tp, self.tp + self.fp)

    @cached_property
    def npv(self) -> Floats:
        """Negative predictive value: share of benign images among the images called benign."""
        return ratio(self.tn, self.tn + self.fn)

    @cached_property
    def balanced_accuracy(self) -> Floats:
        """Mean of sensitivity and specificity, (Youden's index + 1) / 2."""
        return (self.sensitivity + self.specificity) / 2

    @cached_property
    def f1(self) -> Floats:
        """Harmonic mean of sensitivity and positive predictive value."""
        return ratio(2 * self.tp, 2 * self.tp + self.fn + self.fp)

    @cached_property
    def f2(self) -> Floats:
        """F-measure with beta 2: sensitivity is twice as important as positive predictive value."""
        return ratio(5 * self.tp, 5 * self.tp + 4 * self.fn + self.fp)

    @cached_property
    def g_mean(self) -> Floats:
        """Geometric mean of sensitivity and specificity."""
        return np.sqrt(self.sensitivity * self.specificity)

    @cached_property
    def kappa(self) -> Floats:
        """Cohen's kappa: agreement of call and label beyond chance."""
        denominator = (self.tp + self.fp) * (self.fp + self.tn) + (self.tp + self.fn) * (self.fn + self.tn)
        return ratio(2 * (self.tp * self.tn - self.fn * self.fp), denominator)


class Outcomes:
    """Rates if an image with a score of `threshold` or more is called melanoma."""

    def __init__(self, target: ArrayLike, score: ArrayLike, threshold: float) -> None:
        """Sort the images into the cells of `Confusion`."""
        target, score = _columns(target, score)
        cell = np.where(score >= threshold, 1 - target, 2 + target)  # 0 tp, 1 fp, 2 tn, 3 fn
        self.matrix = indicators(cell, np.ones(len(target), bool), 4)

    def metrics(self, sums: Floats) -> dict[str, Floats]:
        """Return `RATES`."""
        cells = Confusion(*sums)
        return {rate: getattr(cells, rate) for rate in RATES}


class Accuracy(Outcomes):
    """The share of right calls."""

    def metrics(self, sums: Floats) -> dict[str, Floats]:
        """Return accuracy."""
        tp, fp, tn, fn = sums
        return {"accuracy": ratio(tp + tn, tp + fp + tn + fn)}


def confusion(target: ArrayLike, score: ArrayLike, threshold: float, weight: ArrayLike | None = None) -> Confusion:
    """Return the counts if an image with a score of `threshold` or more is called melanoma."""
    matrix = Outcomes(target, score, threshold).matrix
    return Confusion(*(matrix @ (np.ones(matrix.shape[1]) if weight is None else np.asarray(weight, np.float64))))


class NetBenefit:
    """Net benefit of treating images with a probability of t or more, for several threshold probabilities t.

    It is TP / n - (FP / n) * t / (1 - t). The threshold probability is the risk at which the harm and the benefit of a
    treatment are equal (Vickers and Elkin, Medical Decision Making 26:565, 2006).
    """

    def __init__(self, target: ArrayLike, probability: ArrayLike, thresholds: Sequence[float]) -> None:
        """Take threshold probabilities between 0 and 1, without 0 and 1."""
        target, probability = _columns(target, probability)
        self.thresholds = list(thresholds)
        if not all(0 < threshold < 1 for threshold in self.thresholds):
            raise ValueError(f"threshold probabilities must be above 0 and below 1, got {self.thresholds}")
        odds = np.array([threshold / (1 - threshold) for threshold in self.thresholds])[:, None]
        treated = probability >= np.array(self.thresholds)[:, None]
        benefit = sparse.csr_array(np.where(treated, np.where(target == 1, 1.0, -odds), 0.0))
        self.matrix = sparse.vstack([benefit, sparse.csr_array(np.ones((1, len(target))))], format="csr")

    def metrics(self, sums: Floats) -> dict[str, Floats]:
        """Return the net benefit by threshold probability, as text."""
        return {str(threshold): ratio(row, sums[-1]) for threshold, row in zip(self.thresholds, sums, strict=False)}


def outcomes_by_threshold(target: ArrayLike, score: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Return for each distinct score, falling, how many benign images and melanomas have it or more, and the score.

    All three are (k,).
    """
    target, score = _columns(target, score)
    order = np.argsort(-score, kind="stable")
    falling = score[order]
    last = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)
    true = np.cumsum(target[order])[last].astype(np.float64)
    return last + 1 - true, true, falling[last]


def indicators(row: NDArray[np.intp], members: NDArray[np.bool_], rows: int) -> sparse.csr_array:
    """Return a matrix, sparse (rows, n), with 1 in row `row[i]` of column i for each i in `members`, bool (n,)."""
    column = np.flatnonzero(members)
    return sparse.csr_array((np.ones(len(column)), (row[column], column)), shape=(rows, len(row)))


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> Floats:
    """Return numerator / denominator, float64, NaN where the denominator is not above 0."""
    numerator, denominator = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    quotient = np.full(np.broadcast(numerator, denominator).shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient


def _columns(target: ArrayLike, score: ArrayLike) -> tuple[NDArray[np.int64], Floats]:
    """Return target, int64, and score, float64, after checks."""
    target, score = np.asarray(target), np.asarray(score, dtype=np.float64)
    if target.shape != score.shape or target.ndim != 1 or len(target) == 0:
        raise ValueError(f"target and score must have the same shape (n,), n > 0; got {target.shape} and {score.shape}")
    if not np.isin(target, (0, 1)).all():
        raise ValueError("target must be 0 or 1")
    if np.isnan(score).any():
        raise ValueError("score must not be NaN")
    return target.astype(np.int64), score
