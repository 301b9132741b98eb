"""Calibrators: maps from the probabilities of a model to calibrated ones, fitted to out-of-fold predictions.

- none: no change.
- prior_shift: subtract the shift of all log-odds that a training on another class balance causes (Saerens, Latinne and
  Decaestecker, Neural Computation 14:21, 2002).
- temperature: scale the log-odds (Guo et al., ICML 2017).
- platt: scale and shift the log-odds (Platt, Advances in Large Margin Classifiers, 1999).
- isotonic: the best non-decreasing function (Zadrozny and Elkan, KDD 2002).

The method with the lowest log loss in a cross-validation over patients is used.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from melanoma.common.files import read_json
from melanoma.stats.log_odds import logit, sigmoid
from melanoma.stats.metrics import Floats, log_loss

FOLDS = 5  # of the cross-validation that selects the method


@dataclass(frozen=True)
class Affine:
    """A straight line in log-odds: logit(r) = slope * logit(p) + intercept."""

    method: str
    slope: float
    intercept: float

    def apply(self, probability: ArrayLike) -> Floats:
        """Return calibrated probabilities, float64 of the same shape."""
        return sigmoid(self.slope * logit(probability) + self.intercept)


@dataclass(frozen=True)
class Isotonic:
    """A non-decreasing map: linear between its corners (probability, calibrated), constant beyond them."""

    method: str
    probability: list[float]
    calibrated: list[float]

    def apply(self, probability: ArrayLike) -> Floats:
        """Return calibrated probabilities, float64 of the same shape."""
        return np.interp(np.asarray(probability, np.float64), self.probability, self.calibrated)


Calibrator = Affine | Isotonic
Labels = NDArray[np.int64]
NONE = Affine("none", 1.0, 0.0)
Fit = Callable[[Labels, Floats], Calibrator]


class CalibratorEntry(TypedDict):
    """The calibrator of a model in calibration.json."""

    calibrator: dict[str, str | float | list[float]]  # the fields of `Affine` or `Isotonic`
    cross_validated_log_loss: dict[str, float]  # by method, in nats per image


class Choice(NamedTuple):
    """The selected calibrator, fitted to all rows, and the cross-validated log loss of each method."""

    calibrator: Calibrator
    log_losses: dict[str, float]

    def as_dict(self) -> CalibratorEntry:
        """Return the entry of calibration.json."""
        return {"calibrator": asdict(self.calibrator), "cross_validated_log_loss": self.log_losses}


def load(path: str | Path) -> dict[str, Calibrator]:
    """Read the calibrators from `evaluate/calibration.json`, by the name of the model or fusion.

    A model without a calibrator is left out.
    """
    entries = {name: entry["calibrator"] for name, entry in read_json(path).items() if "calibrator" in entry}
    return {name: calibrator_from(values) for name, values in entries.items()}


def calibrator_from(values: Mapping[str, Any]) -> Calibrator:
    """Return the calibrator of the fields that a file holds."""
    return (Affine if "slope" in values else Isotonic)(**values)


def choose_calibrator(
    target: ArrayLike,
    probability: ArrayLike,
    clusters: ArrayLike,
    training_prevalence: float | None = None,
    seed: int = 1,
) -> Choice:
    """Return the method with the lowest log loss in a cross-validation over patients, fitted to all rows.

    `target` 0/1, `probability` and `clusters` (patients) have shape (n,). There must be both classes. prior_shift is a
    candidate only with `training_prevalence`, the share of melanomas that the training saw. If a training fold has one
    class only, because too few patients have the other, the method is none.
    """
    target, probability = np.asarray(target, np.int64), np.asarray(probability, np.float64)
    methods = candidates(training_prevalence)
    fold = patient_folds(target, np.asarray(clusters), FOLDS, seed)
    if any(len(np.unique(target[fold != number])) < 2 for number in np.unique(fold)):
        return Choice(NONE, {})
    losses = {name: float(log_loss(target, held_out(fit, target, probability, fold))) for name, fit in methods.items()}
    best = min(losses, key=losses.__getitem__)
    return Choice(methods[best](target, probability), losses)


def candidates(training_prevalence: float | None) -> dict[str, Fit]:
    """Return the functions that fit each method to target and probability, the simplest first."""
    fits: dict[str, Fit] = {"none": lambda target, probability: NONE}
    if training_prevalence is not None:
        fits["prior_shift"] = partial(prior_shift, prevalence=training_prevalence)
    return fits | {"temperature": temperature, "platt": platt, "isotonic": isotonic}


def prior_shift(target: Labels, probability: Floats, prevalence: float) -> Affine:
    """Shift the log-odds from the prevalence of the training to that of `target`; probabilities are not read."""
    return Affine("prior_shift", 1.0, float(logit(target.mean()) - logit(prevalence)))


def temperature(target: Labels, probability: Floats) -> Affine:
    """Fit the slope b = 1 / T."""
    (slope,) = _logistic(logit(probability)[:, None], target)
    return Affine("temperature", slope, 0.0)


def platt(target: Labels, probability: Floats) -> Affine:
    """Fit slope and intercept."""
    slope, intercept = _logistic(np.stack([logit(probability), np.ones(len(target))], axis=1), target)
    return Affine("platt", slope, intercept)


def isotonic(target: Labels, probability: Floats) -> Isotonic:
    """Fit the non-decreasing function with the least squared error."""
    from sklearn.isotonic import IsotonicRegression  # takes a second to import

    fitted = IsotonicRegression(y_min=0, y_max=1).fit(probability, target)
    return Isotonic("isotonic", fitted.X_thresholds_.tolist(), fitted.y_thresholds_.tolist())


def held_out(fit: Fit, target: Labels, probability: Floats, fold: NDArray[np.int64]) -> Floats:
    """Return each row's probability calibrated by a fit to the other folds, float64 (n,)."""
    calibrated = np.empty(len(target))
    for number in np.unique(fold):
        rows = fold == number
        calibrated[rows] = fit(target[~rows], probability[~rows]).apply(probability[rows])
    return calibrated


def patient_folds(target: Labels, clusters: NDArray[np.str_], folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each row, int64 (n,); all rows of a patient are in one fold.

    Patients are assigned in a random order, first those with a melanoma, then the others, to the folds in turn. So each
    fold has about as many patients of either kind.
    """
    _, cluster = np.unique(clusters, return_inverse=True)
    melanoma = np.bincount(cluster, target) > 0
    shuffled = np.random.default_rng(seed).permutation(len(melanoma))
    order = shuffled[np.argsort(~melanoma[shuffled], kind="stable")]
    fold = np.empty(len(melanoma), np.int64)
    fold[order] = np.arange(len(melanoma)) % folds
    return fold[cluster]


def _logistic(columns: Floats, target: Labels) -> list[float]:
    """Return the coefficients of a logistic regression on `columns` (n, k), without penalty.

    The labels are Platt's targets, (n1 + 1) / (n1 + 2) for the n1 melanomas and 1 / (n0 + 2) for the n0 benign images.
    They keep the coefficients finite if the classes are perfectly separated.
    """
    from scipy.optimize import minimize

    positives = target.sum()
    negatives = len(target) - positives
    label = np.where(target == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(weights: Floats) -> tuple[float, Floats]:
        """Return the mean cross entropy, log(1 + exp(v)) - label * v for the log-odds v, and its gradient."""
        value = columns @ weights
        gradient = columns.T @ (sigmoid(value) - label) / len(target)
        return float(np.mean(np.logaddexp(0, value) - label * value)), gradient

    start = np.eye(columns.shape[1])[0]  # slope 1: no change
    fitted: Floats = minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-9}).x
    return list(map(float, fitted))
