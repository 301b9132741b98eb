"""The expected half-width of the AUROC's confidence interval is that of simulated studies."""

import math

import numpy as np
import pandas as pd
import pytest

from labeled_cohort import pairs_auroc
from melanoma.data_check.precision import half_width


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
