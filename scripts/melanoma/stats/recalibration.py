"""How far observed and predicted risks agree: slope, intercept, observed/expected, and errors of calibration curves.

Slope, intercept and curve are logistic regressions of the label on x = logit(p). A measure (see `metrics`) must be a
function of sums, so a replicate has the fit of all images plus one Newton step with the weights of the replicate:

    theta* = theta + (sum_i w_i r_i (1 - r_i) b_i b_i')^-1 sum_i w_i (y_i - r_i) b_i,  r_i = sigmoid(b_i' theta)

With the weights 1 the step is 0, so the value of the images as they are is the maximum of the likelihood. In a
replicate the step is exact up to terms of the second order in the weights.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from melanoma.stats.log_odds import logit, sigmoid
from melanoma.stats.metrics import BINS, Floats, indicators, ratio

KNOTS = (0.1, 0.5, 0.9)  # quantiles of x, of the spline of the calibration curve (Harrell 2015)
GROUPS = 1000  # of images with adjacent probabilities, at most, in the mean over the calibration curve
SEPARATED = 1e-10  # a Hessian whose determinant is so small a share of the product of its diagonal has no inverse


class Recalibration:
    """How the probabilities must be moved to agree with the labels.

    - calibration_slope: b of logit(r) = a + b x. 1 is perfect. NaN if the classes are separated (Cox, Biometrika
      45:562, 1958).
    - calibration_intercept: a of logit(r) = a + x, calibration in the large. 0 is perfect.
    - observed_expected: number of melanomas by the sum of the probabilities. 1 is perfect.
    """

    def __init__(self, target: ArrayLike, probability: ArrayLike) -> None:
        """Fit the regressions to all images; `target` 0/1 and `probability`, both (n,)."""
        target, probability = np.asarray(target, np.float64), np.asarray(probability, np.float64)
        x, one = logit(probability), np.ones(len(target))
        self.intercept = Regression.fit(one[:, None], target, x)
        self.slope = Regression.fit(np.stack([one, x], axis=1), target)
        plain = sparse.csr_array(np.stack([one, target, probability]))
        self.matrix = sparse.vstack([plain, self.intercept.matrix, self.slope.matrix], format="csr")

    def metrics(self, sums: Floats) -> dict[str, Floats]:
        """Return calibration_slope, calibration_intercept and observed_expected."""
        (images, melanomas, expected), intercept, slope = np.split(sums, [3, 5])
        values = {
            "calibration_slope": self.slope.step(slope)[1],
            "calibration_intercept": self.intercept.step(intercept)[0],
            "observed_expected": ratio(melanomas, expected),
        }
        return _of_both_classes(values, images, melanomas)


class CalibrationCurve:
    """Distances of the probabilities from the observed risks. 0 is perfect.

    - ici: integrated calibration index, the mean over images of |p - r(p)|, where r is the calibration curve, a
      logistic regression on a restricted cubic spline in x with knots at the quantiles `KNOTS` (Austin and Steyerberg,
      Statistics in Medicine 38:4051, 2019). Images with adjacent probabilities are in `GROUPS` groups, whose p is their
      mean.
    - adaptive_ece: the expected calibration error of `metrics.Calibration` in bins of equal numbers of images; ties
      are in one bin.
    """

    def __init__(self, target: ArrayLike, probability: ArrayLike) -> None:
        """Fit the curve to all images; `target` 0/1 and `probability`, both (n,)."""
        target, probability = np.asarray(target, np.float64), np.asarray(probability, np.float64)
        x, one = logit(probability), np.ones(len(target))
        knots = np.quantile(x, KNOTS)
        group, bins = equal_groups(probability, GROUPS), equal_groups(probability, BINS)
        members = np.bincount(group)
        self.predicted = np.bincount(group, probability) / members
        self.basis = spline(logit(self.predicted), knots)
        self.curve = Regression.fit(spline(x, knots), target)
        blocks = [
            sparse.csr_array(np.stack([one, target])),
            self.curve.matrix,
            indicators(group, one > 0, len(members)),
            indicators(bins, one > 0, bins.max() + 1) * (probability - target),
        ]
        self.matrix = sparse.vstack(blocks, format="csr")
        self.ends = np.cumsum([block.shape[0] for block in blocks])[:-1]

    def metrics(self, sums: Floats) -> dict[str, Floats]:
        """Return ici and adaptive_ece."""
        (images, melanomas), curve, by_group, by_bin = np.split(sums, self.ends)
        observed = sigmoid(np.tensordot(self.basis, self.curve.step(curve), axes=1))
        distance = np.abs((self.predicted - observed.T).T)
        values = {
            "ici": ratio((by_group * distance).sum(axis=0), images),
            "adaptive_ece": ratio(np.abs(by_bin).sum(axis=0), images),
        }
        return _of_both_classes(values, images, melanomas)


def _of_both_classes(values: dict[str, Floats], images: Floats, melanomas: Floats) -> dict[str, Floats]:
    """Return the values, NaN where the weights leave one class alone."""
    both = (melanomas > 0) & (melanomas < images)
    return {name: np.where(both, value, np.nan) for name, value in values.items()}


@dataclass(frozen=True)
class Regression:
    """A logistic regression of all images, and the sums of its Newton step."""

    coefficients: Floats  # (k,), NaN if the likelihood has no maximum
    matrix: sparse.csr_array  # rows: the k parts of the gradient, then the k * k of the Hessian; (k + k * k, n)

    @classmethod
    def fit(cls, columns: Floats, target: Floats, offset: Floats | float = 0.0) -> "Regression":
        """Maximize the likelihood of `target` (n,) for log-odds `columns` (n, k) @ coefficients + `offset`."""
        coefficients = maximum_likelihood(columns, target, offset)
        risk = sigmoid(columns @ np.nan_to_num(coefficients) + offset)
        gradient = (columns.T * (target - risk)).T
        hessian = columns[:, :, None] * columns[:, None, :] * (risk * (1 - risk))[:, None, None]
        rows = np.concatenate([gradient, hessian.reshape(len(target), -1)], axis=1).T
        return cls(coefficients, sparse.csr_array(rows))

    def step(self, sums: Floats) -> Floats:
        """Return the coefficients for the weights of `sums`, (k + k * k, ...): (k, ...), NaN where undefined."""
        k = len(self.coefficients)
        gradient, hessian = sums[:k], sums[k:].reshape(k, k, *sums.shape[1:])
        return (self.coefficients + newton_step(np.moveaxis(hessian, (0, 1), (-2, -1)), gradient.T)).T


def maximum_likelihood(columns: Floats, target: Floats, offset: Floats | float = 0.0, steps: int = 100) -> Floats:
    """Return the coefficients of an unpenalized logistic regression, (k,); NaN if the likelihood has no maximum."""
    coefficients = np.zeros(columns.shape[1])

    def likelihood(values: Floats) -> float:
        log_odds = columns @ values + offset
        return float(np.sum(target * log_odds - np.logaddexp(0, log_odds)))

    height = likelihood(coefficients)
    for _ in range(steps):
        risk = sigmoid(columns @ coefficients + offset)
        step = newton_step((columns.T * (risk * (1 - risk))) @ columns, columns.T @ (target - risk))
        while np.isfinite(step).all() and not likelihood(coefficients + step) >= height - 1e-9 * (1 + abs(height)):
            step = step / 2
        coefficients = coefficients + step
        if not np.isfinite(coefficients).all():
            break
        height = likelihood(coefficients)
        if np.abs(step).max() <= 1e-12 * (1 + np.abs(coefficients).max()):
            return coefficients
    return np.full(columns.shape[1], np.nan)


def newton_step(hessian: Floats, gradient: Floats) -> Floats:
    """Return hessian^-1 @ gradient of (..., k, k) and (..., k): (..., k), NaN where there is no inverse."""
    scale = np.prod(np.diagonal(hessian, axis1=-2, axis2=-1), axis=-1)
    regular = np.linalg.det(hessian) > SEPARATED * scale
    safe = np.where(regular[..., None, None], hessian, np.eye(hessian.shape[-1]))
    step = np.linalg.solve(safe, gradient[..., None])[..., 0]
    return np.asarray(np.where(regular[..., None], step, np.nan))


def spline(x: Floats, knots: Floats) -> Floats:
    """Return the columns 1, x and, for three different knots, the restricted cubic spline's third one: (n, 2 or 3).

    The spline is linear below the first and above the last knot (Harrell, Regression Modeling Strategies, 2015).
    """
    plain = np.stack([np.ones(len(x)), x], axis=1)
    low, middle, high = knots
    if not low < middle < high:
        return plain
    cubes = (np.maximum(x[:, None] - knots, 0.0)) ** 3
    weights = np.array([1.0, -(high - low) / (high - middle), (middle - low) / (high - middle)])
    return np.column_stack([plain, cubes @ weights / (high - low) ** 2])


def equal_groups(probability: Floats, groups: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return the group of each image, int (n,) from 0: `groups` of equal size, or fewer, because ties are in one."""
    last = np.ceil(len(probability) * np.arange(1, groups) / groups).astype(int) - 1  # of each group, in their order
    edges = np.unique(np.sort(probability)[last])
    return np.unique(np.searchsorted(edges, probability), return_inverse=True)[1]
