"""Patient context: what stands out among a patient's images, with no label and whatever the number of images."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from melanoma.context import images_per_patient, within_patient

cohorts = st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 4)), min_size=1, max_size=25).map(
    lambda rows: (np.array([score for score, _ in rows]) / 3, np.array([f"IP_{patient}" for _, patient in rows]))
)


@given(cohorts)
def test_each_column_is_what_its_definition_says(cohort: tuple[np.ndarray, np.ndarray]) -> None:
    score, patient = cohort
    for row, found in enumerate(within_patient(score, patient)):
        own = score[patient == patient[row]]
        spread = own.std() if own.max() > own.min() else np.inf
        difference = score[row] - own.mean()
        rank = (np.sum(own < score[row]) + np.sum(own == score[row]) / 2) / len(own) - 0.5
        np.testing.assert_allclose(found, [difference, difference / spread, rank], atol=1e-12)


@given(cohorts)
def test_a_patient_with_one_image_and_patients_of_equal_scores_stand_out_in_nothing(
    cohort: tuple[np.ndarray, np.ndarray],
) -> None:
    score, patient = cohort
    alone = images_per_patient(patient) == 1
    assert (within_patient(score, patient)[alone] == 0).all()
    np.testing.assert_allclose(within_patient(np.full(len(score), 0.1), patient), 0, atol=1e-15)


@given(cohorts, st.integers(0, 99))
def test_the_order_of_the_rows_changes_nothing(cohort: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    score, patient = cohort
    order = np.random.default_rng(seed).permutation(len(score))
    np.testing.assert_allclose(
        within_patient(score, patient)[order], within_patient(score[order], patient[order]), atol=1e-12
    )
    assert images_per_patient(patient)[order].tolist() == images_per_patient(patient[order]).tolist()


@given(cohorts)
def test_other_patients_change_nothing(cohort: tuple[np.ndarray, np.ndarray]) -> None:
    score, patient = cohort
    own = patient == patient[0]
    np.testing.assert_allclose(
        within_patient(score, patient)[own], within_patient(score[own], patient[own]), atol=1e-12
    )


def test_a_score_and_its_number_of_images_by_hand() -> None:
    patient = np.array(["a", "a", "a", "b"])
    assert images_per_patient(patient).tolist() == [3, 3, 3, 1]
    found = within_patient([1.0, 2.0, 3.0, 9.0], patient)
    z = np.sqrt(1.5)
    np.testing.assert_allclose(found, [[-1, -z, -1 / 3], [0, 0, 0], [1, z, 1 / 3], [0, 0, 0]], atol=1e-15)
