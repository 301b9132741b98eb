"""The expected half-width of the AUROC's confidence interval is that of simulated studies."""

import math
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

from labeled_cohort import pairs_auroc
from melanoma.data_check.precision import effective_images, half_width, required_images
from melanoma.stats.log_odds import sigmoid
from melanoma.stats.metrics import measured
from melanoma.stats.recalibration import Recalibration


def cohort(melanoma_patients: int, benign_patients: int, images: int) -> pd.DataFrame:
    """Return a test set in which each patient has so many images, all of one class."""
    patients = np.repeat(np.arange(melanoma_patients + benign_patients), images)
    return pd.DataFrame({"patient": patients.astype(str), "target": (patients < melanoma_patients).astype(int)})


def test_one_image_a_patient_is_the_published_formula():
    # Hanley and McNeil 1982 with 51 abnormal and 58 normal cases: an AUROC of .893 has a standard error of .032.
    assert half_width(cohort(51, 58, 1), 0.893) / 1.96 == pytest.approx(0.032, abs=0.001)


@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_the_width_is_that_of_simulated_test_sets(correlation):
    test, random = cohort(20, 30, 4), np.random.default_rng(0)
    target, patient = test["target"].to_numpy(), test["patient"].astype(int).to_numpy()
    shift = 1.812  # two normal distributions so far apart have an AUROC of .9
    aurocs = []
    for _ in range(300):
        shared, own = random.normal(size=50)[patient], random.normal(size=len(test))
        score = shift * target + math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * own
        aurocs.append(pairs_auroc(target, score))
    assert np.mean(aurocs) == pytest.approx(0.9, abs=0.01)
    assert half_width(test, 0.9, correlation) == pytest.approx(1.96 * np.std(aurocs), rel=0.2)


def test_a_test_set_without_melanomas_has_no_precision():
    assert math.isnan(half_width(cohort(0, 10, 2), 0.9))


def test_the_images_that_riley_asks_for_give_the_intervals_that_are_aimed_at():
    prevalence, auroc = 0.1, 0.8
    need = required_images(prevalence, auroc)
    # Observed / expected: Riley et al. give (1 - p) / (p SE^2) with SE = .051 for a width of .2.
    assert need.observed_expected == pytest.approx(0.9 / (0.1 * 0.051**2), rel=0.002)
    half, images = 1.96 * _newcombe_error(need.auroc, prevalence, auroc), need.calibration_slope
    assert half == pytest.approx(0.05, rel=0.001)
    # Calibration slope: the spread over simulated test sets of so many images.
    random, distance = np.random.default_rng(0), math.sqrt(2) * NormalDist().inv_cdf(auroc)
    slopes = []
    for _ in range(100):
        target = (random.random(images) < prevalence).astype(int)
        value = math.log(prevalence / (1 - prevalence)) + distance * random.normal(size=images)
        value += (target - 0.5) * distance**2
        slopes.append(float(measured(Recalibration(target, sigmoid(value)))["calibration_slope"]))
    assert np.mean(slopes) == pytest.approx(1, abs=0.05)
    assert np.std(slopes) == pytest.approx(0.2 / 1.96, rel=0.2)


def _newcombe_error(images: int, prevalence: float, auroc: float) -> float:
    spread = 1 + (images / 2 - 1) * ((1 - auroc) / (2 - auroc) + auroc / (1 + auroc))
    return math.sqrt(auroc * (1 - auroc) * spread / (images**2 * prevalence * (1 - prevalence)))


def test_images_of_a_patient_are_worth_less_than_independent_ones():
    assert effective_images(cohort(10, 20, 1)) == 30
    assert 30 < effective_images(cohort(10, 20, 4)) < 120
