"""Patient context: what stands out among a patient's images, with no label and whatever the number of images."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from melanoma.predictions.patient_context import (
    distance_within_patient,
    images_per_patient,
    patient_distance,
    patients_of_part,
    within_patient,
)

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


@st.composite
def seen_cohorts(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings, of which some are all zeros and some alike, and their patients."""
    count = draw(st.integers(1, 20))
    embedding = st.lists(st.integers(-2, 2), min_size=3, max_size=3)
    embeddings = draw(st.lists(embedding, min_size=count, max_size=count))
    patients = draw(st.lists(st.integers(0, 4), min_size=count, max_size=count))
    return np.array(embeddings, np.float32) * np.float32(0.37), np.array([f"IP_{patient}" for patient in patients])


def distance_from_others(embeddings: np.ndarray, patient: np.ndarray, row: int) -> float:
    """Return the distance as it is defined, from the mean of the others, for one image."""
    others = (patient == patient[row]) & (np.arange(len(patient)) != row)
    if not others.any():
        return 0.0
    own, mean = embeddings[row].astype(float), embeddings[others].astype(float).mean(axis=0)
    lengths = np.linalg.norm(own) * np.linalg.norm(mean)
    return 1 - own @ mean / lengths if lengths > 1e-9 else 1.0


@given(seen_cohorts())
def test_the_distance_is_what_its_definition_says(cohort: tuple[np.ndarray, np.ndarray]) -> None:
    embeddings, patient = cohort
    found = patient_distance(embeddings, patient)
    expected = [distance_from_others(embeddings, patient, row) for row in range(len(patient))]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)
    assert ((found >= 0) & (found <= 2)).all()


@given(seen_cohorts(), st.integers(0, 99))
def test_order_other_patients_and_scale_do_not_change_the_distance(
    cohort: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    embeddings, patient = cohort
    found = patient_distance(embeddings, patient)
    order, own = np.random.default_rng(seed).permutation(len(patient)), patient == patient[0]
    shuffled = patient_distance(embeddings[order], patient[order])
    alone = patient_distance(embeddings[own], patient[own])
    np.testing.assert_allclose(shuffled, found[order], rtol=0, atol=1.1e-7)
    np.testing.assert_allclose(alone, found[own], rtol=0, atol=1.1e-7)
    np.testing.assert_allclose(patient_distance(1000 * embeddings, patient), found, rtol=0, atol=1.1e-7)


@given(seen_cohorts())
def test_an_image_that_has_no_others_or_is_like_them_is_at_no_distance(cohort: tuple[np.ndarray, np.ndarray]) -> None:
    embeddings, patient = cohort
    alone = images_per_patient(patient) == 1
    assert (distance_within_patient(patient_distance(embeddings, patient), patient)[alone] == 0).all()
    same = np.tile(np.float32([0.1, 0.7, 0.3]), (len(patient), 1))
    assert (patient_distance(same, patient) == 0).all()


@given(st.integers(0, 10_000))
def test_neither_of_a_patients_two_images_stands_out_from_the_other(seed: int) -> None:
    embeddings = np.random.default_rng(seed).normal(size=(20, 16)).astype(np.float32)
    patient = np.arange(20) // 2
    distance, z, rank = distance_within_patient(patient_distance(embeddings, patient), patient).T
    assert (distance > 0).all() and (z == 0).all() and (rank == 0).all()


def test_a_distance_by_hand() -> None:
    embeddings = np.array([[1, 0], [2, 0], [0, 3], [5, 5]])
    found = patient_distance(embeddings, ["a", "a", "a", "b"])
    cosines = [2 / np.hypot(2, 3), 1 / np.hypot(1, 3), 0]
    np.testing.assert_allclose(found, [*(1 - np.array(cosines)), 0], atol=1e-7)
    apart = distance_within_patient(found, ["a", "a", "a", "b"])
    np.testing.assert_array_equal(apart[:, 0], found)
    np.testing.assert_array_equal(apart[:, 1:], within_patient(found, ["a", "a", "a", "b"])[:, 1:])


def test_images_of_two_parts_or_of_unknown_patients_are_not_compared() -> None:
    parts = ["train", "train", "test", "test", "test"]
    rows = pd.DataFrame({"image": list("vwxyz"), "patient": ["a", "a", "a", None, None], "part": parts})
    assert images_per_patient(patients_of_part(rows)).tolist() == [2, 2, 1, 1, 1]
