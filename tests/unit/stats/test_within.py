"""Metrics within strata and within patients are their definitions, counted pair by pair."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.stats.metrics import auroc, measured
from melanoma.stats.within import FEWEST_TO_RANK, RSquared, WithinPatient, WithinStrata

labeled = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 5), st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=30
).map(lambda rows: tuple(np.array(column) for column in zip(*rows, strict=True)))


def pairs_won(target: np.ndarray, score: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Count pairs of a melanoma and a benign image that are in the right order, ties half, and all of them."""
    won = total = 0.0
    for i in np.flatnonzero(target == 1):
        for j in np.flatnonzero(target == 0):
            total += weight[i] * weight[j]
            won += weight[i] * weight[j] * ((score[i] > score[j]) + (score[i] == score[j]) / 2)
    return won, total


@given(labeled)
def test_the_auroc_within_strata_is_the_share_of_pairs_of_one_stratum_in_the_right_order(
    rows: tuple[np.ndarray, ...],
) -> None:
    target, score, stratum, weight = rows
    counted = [
        pairs_won(target[stratum == level], score[stratum == level], weight[stratum == level])
        for level in np.unique(stratum)
    ]
    won, total = np.sum(counted, axis=0)
    measure = WithinStrata(target, score, stratum)
    values = measured(measure, weight)["auroc"]
    np.testing.assert_allclose(values, won / total if total else np.nan, atol=1e-12)
    unweighted = [pairs_won(target[stratum == k], score[stratum == k], np.ones(len(score))) for k in np.unique(stratum)]
    assert measure.counts["pairs"] == np.sum(unweighted, axis=0)[1]


def test_the_auroc_within_one_stratum_is_the_auroc() -> None:
    random = np.random.default_rng(0)
    target, score = random.integers(0, 2, 200), random.integers(0, 20, 200)
    within = measured(WithinStrata(target, score, np.zeros(200)))["auroc"]
    assert within == pytest.approx(auroc(target, score), abs=1e-12)


@given(labeled)
def test_a_patient_that_counts_twice_has_its_pairs_and_its_ranks_twice(rows: tuple[np.ndarray, ...]) -> None:
    target, score, patient, draws = rows
    weight = draws[patient % len(draws)]  # one weight for each patient
    won = total = first = chance = ranked = 0.0
    for level in np.unique(patient):
        member_rows = patient == level
        times = weight[member_rows][0]
        pairs = pairs_won(target[member_rows], score[member_rows], np.ones(member_rows.sum()))
        won, total = won + times * pairs[0], total + times * pairs[1]
        if member_rows.sum() >= FEWEST_TO_RANK and 0 < target[member_rows].sum() < member_rows.sum():
            for i in np.flatnonzero(member_rows & (target == 1)):
                others = member_rows & (np.arange(len(member_rows)) != i)
                first += times * bool((score[i] > score[others]).all())
                chance, ranked = chance + times / member_rows.sum(), ranked + times
    values = measured(WithinPatient(target, score, patient), weight)
    expected = {"auroc": (won, total), "first": (first, ranked), "chance": (chance, ranked)}
    for name, (part, whole) in expected.items():
        np.testing.assert_allclose(values[name], part / whole if whole else np.nan, atol=1e-12)


def test_what_a_prediction_explains_is_r_squared() -> None:
    random = np.random.default_rng(1)
    number = random.normal(size=50)
    predicted = number + 0.5 * random.normal(size=50)
    expected = 1 - np.sum((number - predicted) ** 2) / np.sum((number - number.mean()) ** 2)
    assert measured(RSquared(number, predicted))["r2"] == pytest.approx(expected)
    assert measured(RSquared(number, np.full(50, number.mean())))["r2"] == pytest.approx(0)
