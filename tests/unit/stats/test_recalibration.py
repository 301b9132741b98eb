"""Slope, intercept, observed/expected and calibration errors are those of other programs and of the definitions."""

import numpy as np
import pytest
from hypothesis import given

from labeled_cohort import Labeled, labeled
from melanoma.stats.log_odds import logit, sigmoid
from melanoma.stats.metrics import measured
from melanoma.stats.recalibration import CalibrationCurve, Recalibration, Regression, equal_groups

# Cohort of `cohort()`. statsmodels 0.15.0, GLM(target, X, family=Binomial(), offset=...).fit(tol=1e-14): slope with X =
# [1, x]; intercept with X = [1] and offset x; curve with X = [1, x, s], where s is the restricted cubic spline as
# Harrell writes it, with knots at the quantiles .1, .5 and .9 of x. The error of equal bins: netcal 1.4.0,
# ECE(15, equal_intervals=False), and numpy.array_split of the sorted probabilities into 15 bins of 40 images.
PUBLISHED = {
    "calibration_slope": 0.7358900883691321,
    "calibration_intercept": -0.2166536898917304,
    "observed_expected": 0.8817182688544524,
    "ici": 0.0403620721153717,
    "adaptive_ece": 0.06236090335954263,
}


def cohort() -> tuple[np.ndarray, np.ndarray]:
    """Return labels and over-confident probabilities of 600 images."""
    generator = np.random.default_rng(17)
    value = -1.5 + 1.2 * generator.normal(size=600)
    target = (generator.random(600) < sigmoid(value)).astype(int)
    return target, sigmoid(1.5 * value + 0.1 * value**2 + 0.3)


def values(target: np.ndarray, probability: np.ndarray, weight: np.ndarray | None = None) -> dict[str, float]:
    kinds = Recalibration(target, probability), CalibrationCurve(target, probability)
    return {name: float(value) for kind in kinds for name, value in measured(kind, weight).items()}


def test_each_metric_is_that_of_another_program() -> None:
    assert values(*cohort()) == pytest.approx(PUBLISHED, abs=1e-9)


def test_the_step_of_a_replicate_is_its_fit_up_to_the_second_order() -> None:
    target, probability = cohort()
    columns = np.stack([np.ones(600), logit(probability)], axis=1)
    change = np.random.default_rng(0).normal(size=600)
    errors = []
    for size in (0.1, 0.01):
        weight = 1 + size * change
        refit = Regression.fit(columns, target)
        for _ in range(20):  # Newton's method with the weights, to its end
            risk = sigmoid(columns @ refit.coefficients)
            hessian = (columns.T * (weight * risk * (1 - risk))) @ columns
            step = np.linalg.solve(hessian, columns.T @ (weight * (target - risk)))
            refit = Regression(refit.coefficients + step, refit.matrix)
        errors.append(abs(values(target, probability, weight)["calibration_slope"] - refit.coefficients[1]))
    assert errors[1] < errors[0] / 50
    assert errors[0] < 0.01


@given(labeled())
def test_many_weights_at_once_are_each_of_them_alone(data: Labeled) -> None:
    target, score, weight = data
    weights = np.stack([weight, weight[::-1], np.ones_like(weight)], axis=1)
    for kind in (Recalibration(target, score), CalibrationCurve(target, score)):
        together = measured(kind, weights)
        for number, alone in enumerate(weights.T):
            for name, value in measured(kind, alone).items():
                np.testing.assert_allclose(together[name][number], value, rtol=1e-9, atol=1e-9)


def test_perfect_probabilities_are_perfect() -> None:
    # Ten images at each of three risks, of which exactly the share is melanoma.
    probability = np.repeat([0.1, 0.4, 0.8], 10)
    target = np.concatenate([np.arange(10) < 10 * risk for risk in (0.1, 0.4, 0.8)]).astype(int)
    perfect = {"calibration_slope": 1, "calibration_intercept": 0, "observed_expected": 1, "ici": 0, "adaptive_ece": 0}
    assert values(target, probability) == pytest.approx(perfect, abs=1e-9)


def test_separated_classes_have_no_slope_and_one_class_has_nothing() -> None:
    separated = values(np.array([0, 0, 0, 1, 1]), np.array([0.1, 0.2, 0.3, 0.4, 0.6]))
    assert np.isnan(separated["calibration_slope"]) and np.isnan(separated["ici"])
    assert separated["observed_expected"] == pytest.approx(2 / 1.6)
    assert np.isfinite(separated["calibration_intercept"])
    assert all(np.isnan(value) for value in values(np.zeros(4, int), np.linspace(0.1, 0.9, 4)).values())


def test_equal_groups_keep_ties_together() -> None:
    assert np.bincount(equal_groups(np.random.default_rng(0).random(90), 15)).tolist() == [6] * 15
    assert equal_groups(np.array([0.5, 0.1, 0.1, 0.1, 0.9]), 3).tolist() == [1, 0, 0, 0, 2]
