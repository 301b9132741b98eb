"""Conformal sets err in the share of patients' images that is asked for, and no more."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.stats.conformal import p_values, patient_weights

scores = st.lists(st.integers(0, 6), min_size=1, max_size=20)


@given(scores, scores, st.integers(0, 2**32 - 1))
def test_a_p_value_is_the_mean_over_all_ways_to_draw_one_image_of_each_patient(known, new, seed):
    patient = np.random.default_rng(seed).integers(0, 5, len(known))
    patients = np.unique(patient)
    expected = [
        (1 + sum(np.mean(np.array(known)[patient == one] <= score) for one in patients)) / (len(patients) + 1)
        for score in new
    ]
    assert p_values(known, patient_weights(patient), new) == pytest.approx(expected)


def cohort(generator, patients):
    """Draw images of patients: score of one class, and patient. Images of a patient are alike."""
    images = generator.geometric(0.25, patients)
    patient = np.repeat(np.arange(patients), images)
    return generator.normal(size=patients)[patient] + generator.normal(size=len(patient)) * 0.7, patient


@pytest.mark.parametrize("error_rate", [0.05, 0.1, 0.2])
def test_sets_err_in_the_share_that_is_asked_for_over_200_cohorts(error_rate):
    generator = np.random.default_rng(17)
    missed = []
    for _ in range(200):
        known, patient = cohort(generator, 60)
        new, new_patient = cohort(generator, 60)
        excluded = p_values(known, patient_weights(patient), new) <= error_rate
        missed.append(np.average(excluded, weights=patient_weights(new_patient)))
    assert np.mean(missed) == pytest.approx(error_rate, abs=0.02)


def test_abstention_raises_the_accuracy():
    generator = np.random.default_rng(5)
    benign, melanoma = (cohort(generator, 150) for _ in range(2))
    new_benign, new_melanoma = generator.normal(size=3000) * 1.2, generator.normal(size=3000) * 1.2 + 1.5
    evidence = np.concatenate([new_benign, new_melanoma])
    truth = np.repeat([0, 1], 3000)
    # Of the class melanoma, a high evidence fits well; of benign, a low one.
    as_melanoma = p_values(melanoma[0] + 1.5, patient_weights(melanoma[1]), evidence) > 0.1
    as_benign = p_values(-benign[0], patient_weights(benign[1]), -evidence) > 0.1
    answered = as_melanoma ^ as_benign
    accuracy = np.mean((evidence > 0.75) == truth)
    assert 0.3 < answered.mean() < 0.95
    assert np.mean(as_melanoma[answered] == truth[answered]) > accuracy + 0.05
