"""Calibrators correct the probabilities of resampled trainings, and are those of their definitions."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from labeled_cohort import Labeled, labeled
from melanoma.stats.calibration import (
    NONE,
    Calibrator,
    choose_calibrator,
    isotonic,
    patient_folds,
    platt,
    prior_shift,
    temperature,
)
from melanoma.stats.log_odds import logit
from melanoma.stats.metrics import Calibration, log_loss, measured


def honest(seed: int, n: int = 20_000, prevalence: float = 0.02) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw labels, the true log-odds of each image, and patients of four images."""
    generator = np.random.default_rng(seed)
    value = logit(prevalence) - 1 + 1.5 * generator.normal(size=n)
    return (generator.random(n) < expit(value)).astype(int), value, np.arange(n) // 4


def oversampled(target: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return what a model says that was trained on as many melanomas as benign images."""
    return expit(value - logit(target.mean()))


def calibration_error(target: np.ndarray, probability: np.ndarray) -> float:
    return float(measured(Calibration(target, probability))["ece"])


def test_calibration_corrects_oversampling() -> None:
    target, value, patient = honest(1)
    choice = choose_calibrator(target, oversampled(target, value), patient, training_prevalence=0.5)
    fresh, value, _ = honest(2)
    raw = oversampled(target, value)
    assert calibration_error(fresh, raw) > 0.2
    assert calibration_error(fresh, choice.calibrator.apply(raw)) < 0.01
    shifted = prior_shift(target, raw, prevalence=0.5)
    assert shifted.intercept == pytest.approx(logit(target.mean()))
    assert calibration_error(fresh, shifted.apply(raw)) < 0.01


def test_without_the_training_prevalence_another_method_corrects_it() -> None:
    target, value, patient = honest(1)
    choice = choose_calibrator(target, oversampled(target, value), patient)
    assert "prior_shift" not in choice.log_losses
    fresh, value, _ = honest(2)
    assert calibration_error(fresh, choice.calibrator.apply(oversampled(target, value))) < 0.01


@pytest.mark.parametrize(
    ("method", "bend"),
    [
        ("none", lambda value: value),
        ("temperature", lambda value: 3 * value),
        ("platt", lambda value: 3 * value + 2),
        ("isotonic", lambda value: np.where(value > -1, value + 9, value)),
    ],
)
def test_the_method_with_the_lowest_log_loss_is_selected(method: str, bend: Callable[[np.ndarray], np.ndarray]) -> None:
    target, value, patient = honest(3, n=8000, prevalence=0.3)
    choice = choose_calibrator(target, expit(bend(value)), patient, training_prevalence=0.5)
    assert choice.log_losses[choice.calibrator.method] == min(choice.log_losses.values())
    least = {"none", "temperature", "platt"} if method == "none" else {method, "platt"}
    assert choice.calibrator.method in least
    assert choice.log_losses[method] == pytest.approx(min(choice.log_losses.values()), rel=0.01)


def test_platt_is_a_logistic_regression_on_log_odds() -> None:
    target, value, _ = honest(4)
    probability = expit(2 * value + 1)
    fitted = LogisticRegression(C=1e9, tol=1e-9).fit(logit(probability)[:, None], target)
    made = platt(target, probability)
    # Platt's targets are a little off 0 and 1, so the two differ a little.
    assert made.slope == pytest.approx(fitted.coef_.item(), abs=0.02)
    assert made.intercept == pytest.approx(fitted.intercept_.item(), abs=0.05)


def test_temperature_is_the_scale_of_the_log_odds() -> None:
    target, value, _ = honest(5)
    made = temperature(target, expit(4 * value))
    assert made.slope == pytest.approx(0.25, abs=0.02)
    assert made.intercept == 0


def test_prior_shift_is_closed_form_and_reads_no_probability() -> None:
    target = np.array([1, 0, 0, 0])
    made = prior_shift(target, np.full(4, np.nan), prevalence=0.5)
    assert made.apply([0.5]) == pytest.approx([0.25])
    assert made.apply([0.0, 1.0]) == pytest.approx([0.0, 1.0], abs=1e-12)


def test_isotonic_is_scikit_learns() -> None:
    target, value, _ = honest(6, n=500, prevalence=0.3)
    expected = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(expit(value), target)
    at = np.linspace(0, 1, 101)
    np.testing.assert_allclose(isotonic(target, expit(value)).apply(at), expected.predict(at))


@given(st.integers(0, 10_000), st.sampled_from([temperature, platt, isotonic]))
def test_calibrated_probabilities_are_probabilities_in_the_same_order(
    seed: int, fit: Callable[[np.ndarray, np.ndarray], Calibrator]
) -> None:
    target, value, _ = honest(seed, n=200, prevalence=0.3)
    raw = np.sort(expit(value))
    made = fit(target[np.argsort(value)], raw).apply(np.concatenate([[0.0], raw, [1.0]]))
    assert (made >= 0).all() and (made <= 1).all()
    assert (np.diff(made) >= 0).all()


def test_perfectly_separated_classes_give_a_finite_fit() -> None:
    target = np.array([0] * 20 + [1] * 20)
    made = platt(target, np.where(target == 1, 0.9, 0.1))
    assert np.isfinite([made.slope, made.intercept]).all()
    assert log_loss(target, made.apply(np.where(target == 1, 1.0, 0.0))) < 0.2


@given(labeled(), st.integers(1, 6), st.integers(0, 99))
def test_a_patient_is_in_one_fold_and_melanomas_are_assigned_evenly(data: Labeled, patients: int, seed: int) -> None:
    target, _, _ = data
    patient = np.arange(len(target)) % patients
    fold = patient_folds(target, patient, 3, seed)
    assert all(len(set(fold[patient == p])) == 1 for p in set(patient))
    dealt = [len(set(patient[(fold == number) & (target == 1)])) for number in range(3)]
    assert max(dealt) - min(dealt) <= 1


def test_a_single_patient_with_melanoma_leaves_probabilities_as_they_are() -> None:
    choice = choose_calibrator([1, 1, 0, 0], [0.9, 0.8, 0.2, 0.1], ["a", "a", "b", "c"])
    assert choice == (NONE, {})
