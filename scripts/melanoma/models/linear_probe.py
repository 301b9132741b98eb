"""Logistic regression with an L2 penalty, which is chosen on a regularization path by patient folds."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from melanoma.common.cli import log
from melanoma.common.errors import InputError
from melanoma.models.plain_classifiers import Linear, Vector
from melanoma.stats.calibration import patient_folds

# The penalty is penalty / 2 times the squared length of the coefficients, beside the mean log loss of an image.
PENALTIES = np.logspace(2, -3, 11)
INNER_FOLDS = 5
# Least deviation of a feature, in medians of all features. Some features are almost always 0: divided by their own
# deviation, one other image would have thousands of deviations.
LEAST_DEVIATION = 0.1


class Probe(NamedTuple):
    """A fitted logistic regression, and the penalty that was chosen for it."""

    classifier: Linear
    penalty: float


def fit_probe(columns: Vector, features: int, target: NDArray[np.int64], patient: NDArray[np.str_], seed: int) -> Probe:
    """Fit a logistic regression to standardized `columns` (n, columns) and `target` (n,), 0 or 1.

    The first columns are the `features` of a network. The penalty has the lowest log loss in an inner cross-validation
    of the same rows, in folds of `patient` (n,) that `seed` draws; of equal ones it is the largest. Each inner fit
    standardizes by its own rows. Raises InputError if there are too few patients of either class.
    """
    fold = patient_folds(target, patient, INNER_FOLDS, seed)
    if any(len(np.unique(target[fold != number])) < 2 for number in range(INNER_FOLDS)):
        raise InputError(
            "the penalty of the linear probe cannot be chosen: of the patients of its training images, at least two"
            " must have a melanoma and at least two must have none"
        )
    losses = np.zeros(len(PENALTIES))
    for number in np.unique(fold):
        held_out = fold == number
        for step, classifier in enumerate(_path(columns[~held_out], features, target[~held_out], PENALTIES)):
            losses[step] += _log_loss(target[held_out], classifier.predict(columns[held_out]))
    chosen = int(losses.argmin())
    log.info("penalty %g: log loss %.4f in the inner folds", PENALTIES[chosen], losses[chosen] / len(target))
    return Probe(_path(columns, features, target, PENALTIES[: chosen + 1])[-1], float(PENALTIES[chosen]))


def _path(columns: Vector, features: int, target: NDArray[np.int64], penalties: Vector) -> list[Linear]:
    """Return the fit for each penalty. Each one starts from the one before it."""
    from sklearn.linear_model import LogisticRegression

    means, deviations = columns.mean(axis=0), _deviations(columns, features)
    scaled = (columns - means) / deviations
    regression = LogisticRegression(max_iter=1000, warm_start=True)
    fits = []
    for penalty in penalties:
        # The C of scikit-learn weights the sum of the log losses, not their mean.
        regression.set_params(C=1 / (penalty * len(target))).fit(scaled, target)
        intercept = float(regression.intercept_[0])
        fits.append(Linear(means, deviations, regression.coef_[0].copy(), intercept))
    return fits


def _deviations(columns: Vector, features: int) -> Vector:
    """Return the standard deviation of each column, which is 1 if the column is constant, with that least one."""
    varies = np.ptp(columns, axis=0) > 0
    deviations = np.where(varies, columns.std(axis=0), 1.0)
    if varies[:features].any():
        least = LEAST_DEVIATION * np.median(deviations[:features][varies[:features]])
        deviations[:features] = np.maximum(deviations[:features], least)
    return deviations


def _log_loss(target: NDArray[np.int64], probability: Vector) -> float:
    likelihood = np.where(target == 1, probability, 1 - probability)
    return float(-np.log(likelihood.clip(1e-15)).sum())
