"""Maps from a model's probabilities to honest ones, fitted on out-of-fold predictions.

Training on a resampled class balance shifts every log-odds by one known number, and prior_shift takes it off (Saerens,
Latinne and Decaestecker, Neural Computation 14:21, 2002). temperature scales the log-odds (Guo et al., ICML 2017),
platt scales and shifts them (Platt, Advances in Large Margin Classifiers, 1999), isotonic is the best rising function
(Zadrozny and Elkan, KDD 2002), and none leaves them. The method with the least log loss on patients that it was not
fitted to is taken.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from melanoma.common.files import read_json
from melanoma.stats.log_odds import logit
from melanoma.stats.metrics import log_loss

FOLDS = 5  # of the cross-validation that chooses the method


@dataclass(frozen=True)
class Affine:
    """A straight line in log-odds: slope * logit(p) + intercept."""

    method: str
    slope: float
    intercept: float

    def apply(self, probability: ArrayLike) -> np.ndarray:
        """Return calibrated probabilities, float64 of the same shape."""
        return expit(self.slope * logit(probability) + self.intercept)


@dataclass(frozen=True)
class Isotonic:
    """A rising map, linear between corners and level beyond them."""

    method: str
    probability: list[float]
    calibrated: list[float]

    def apply(self, probability: ArrayLike) -> np.ndarray:
        """Return calibrated probabilities, float64 of the same shape."""
        return np.interp(probability, self.probability, self.calibrated)


Calibrator = Affine | Isotonic
NONE = Affine("none", 1.0, 0.0)
Fit = Callable[[np.ndarray, np.ndarray], Calibrator]


class Choice(NamedTuple):
    """The calibrator that was chosen, fitted to all rows, and the cross-validated log loss of each method."""

    calibrator: Calibrator
    log_losses: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Return what calibration.json holds."""
        return {"calibrator": asdict(self.calibrator), "cross_validated_log_loss": self.log_losses}


def load(path: str | Path) -> dict[str, Calibrator]:
    """Read the calibrators from `evaluate/calibration.json`, by the name of the model or fusion, of those with one."""
    kept = {name: entry["calibrator"] for name, entry in read_json(path).items() if "calibrator" in entry}
    return {name: (Affine if "slope" in values else Isotonic)(**values) for name, values in kept.items()}


def choose_calibrator(
    target: ArrayLike,
    probability: ArrayLike,
    clusters: ArrayLike,
    training_prevalence: float | None = None,
    seed: int = 1,
) -> Choice:
    """Choose the method by log loss, cross-validated over patients, and fit it to all rows.

    `target` 0/1, `probability` and `clusters` (patients) have shape (n,); both classes must be there. Without the
    prevalence that the model was trained at, prior_shift is not tried; where a class has a single patient, nothing is.
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
    """Return how each method is fitted to target and probability, the simplest first."""
    known = {} if training_prevalence is None else {"prior_shift": partial(prior_shift, prevalence=training_prevalence)}
    fits = {"temperature": temperature, "platt": platt, "isotonic": isotonic}
    return {"none": lambda target, probability: NONE} | known | fits


def prior_shift(target: np.ndarray, probability: np.ndarray, prevalence: float) -> Affine:
    """Move log-odds from the prevalence trained at to that of `target`; probabilities are not read."""
    return Affine("prior_shift", 1.0, float(logit(target.mean()) - logit(prevalence)))


def temperature(target: np.ndarray, probability: np.ndarray) -> Affine:
    """Fit the slope alone."""
    (slope,) = _logistic(logit(probability)[:, None], target)
    return Affine("temperature", slope, 0.0)


def platt(target: np.ndarray, probability: np.ndarray) -> Affine:
    """Fit slope and intercept."""
    slope, intercept = _logistic(np.stack([logit(probability), np.ones(len(target))], axis=1), target)
    return Affine("platt", slope, intercept)


def isotonic(target: np.ndarray, probability: np.ndarray) -> Isotonic:
    """Fit a rising function of least squared error."""
    from sklearn.isotonic import IsotonicRegression  # takes a second to import

    fitted = IsotonicRegression(y_min=0, y_max=1).fit(probability, target)
    return Isotonic("isotonic", fitted.X_thresholds_.tolist(), fitted.y_thresholds_.tolist())


def held_out(fit: Fit, target: np.ndarray, probability: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Return each row's probability calibrated by a fit to the other folds, float64 (n,)."""
    calibrated = np.empty(len(target))
    for number in np.unique(fold):
        rows = fold == number
        calibrated[rows] = fit(target[~rows], probability[~rows]).apply(probability[rows])
    return calibrated


def patient_folds(target: np.ndarray, clusters: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Deal patients with a melanoma, then those without, out to folds at random: the fold of each row, int64 (n,)."""
    _, cluster = np.unique(clusters, return_inverse=True)
    melanoma = np.bincount(cluster, target) > 0
    shuffled = np.random.default_rng(seed).permutation(len(melanoma))
    dealt = shuffled[np.argsort(~melanoma[shuffled], kind="stable")]
    fold = np.empty(len(melanoma), np.int64)
    fold[dealt] = np.arange(len(melanoma)) % folds
    return fold[cluster]


def _logistic(columns: np.ndarray, target: np.ndarray) -> list[float]:
    """Fit a logistic regression without penalty to Platt's targets, which keep it finite where classes part cleanly."""
    from scipy.optimize import minimize

    positives = target.sum()
    negatives = len(target) - positives
    wanted = np.where(target == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        value = columns @ weights
        return float(np.mean(np.logaddexp(0, value) - wanted * value)), columns.T @ (expit(value) - wanted) / len(
            target
        )

    start = np.eye(columns.shape[1])[0]
    return minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-9}).x.tolist()
