"""Tests of the difference of two AUROCs, over patients and over images."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from labeled_cohort import pairs_auroc, rounded_scores
from melanoma.stats.comparison import common_images, compare, holm, p_greater, paired_test
from melanoma.stats.delong import delong_test

SETTINGS = {"replicates": 200, "confidence_level": 0.95, "seed": 1}


def test_a_model_is_as_good_as_itself() -> None:
    target, score, _ = rounded_scores()
    assert delong_test(target, score, score)[2:] == (0.0, 1.0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holms_correction_is_its_definition(p: list[float]) -> None:
    corrected = holm(p)
    for i, value in enumerate(p):
        smaller = [other for other in sorted(p) if other <= value]
        steps = [min(1.0, (len(p) - rank) * other) for rank, other in enumerate(smaller)]
        assert corrected[i] >= max(value, 0)
        if p.count(value) == 1:
            assert corrected[i] == pytest.approx(max(steps), abs=1e-12)


def test_holms_correction_of_known_values() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_every_two_models_are_compared_once() -> None:
    target, first, second = rounded_scores()
    rows = compare(target, {"a": first, "b": second, "c": second}, np.arange(600) // 3, **SETTINGS)
    assert [(row["first"], row["second"]) for row in rows] == [("a", "b"), ("a", "c"), ("b", "c")]
    difference = rows[0]["difference"]
    assert difference["value"] == pytest.approx(pairs_auroc(target, first) - pairs_auroc(target, second))
    assert difference["low"] < difference["value"] < difference["high"]
    assert rows[2]["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert rows[2]["bootstrap"] == rows[2]["delong"] == {"z": 0.0, "p": 1.0, "p_holm": 1.0}
    for kind in ("bootstrap", "delong"):
        assert [row[kind]["p_holm"] for row in rows] == holm([row[kind]["p"] for row in rows]).tolist()


def test_turning_a_pair_round_turns_the_sign_and_nothing_else() -> None:
    target, first, second = rounded_scores()
    (one,) = compare(target, {"a": first, "b": second}, np.arange(600) // 3, **SETTINGS)
    (other,) = compare(target, {"b": second, "a": first}, np.arange(600) // 3, **SETTINGS)
    assert one["difference"]["low"] == pytest.approx(-other["difference"]["high"])
    for kind in ("bootstrap", "delong"):
        assert one[kind]["z"] == pytest.approx(-other[kind]["z"])
        assert one[kind]["p"] == pytest.approx(other[kind]["p"])


def test_of_independent_images_both_tests_agree() -> None:
    target, first, second = rounded_scores()
    settings = SETTINGS | {"replicates": 4000}
    (row,) = compare(target, {"a": first, "b": second}, np.arange(600), **settings)
    assert row["bootstrap"]["z"] == pytest.approx(row["delong"]["z"], rel=0.05)


def test_copies_of_images_tell_delong_more_and_the_test_over_patients_nothing() -> None:
    target, first, second = rounded_scores()
    (once,) = compare(target, {"a": first, "b": second}, np.arange(600), **SETTINGS)
    copied = {"a": np.repeat(first, 4), "b": np.repeat(second, 4)}
    (again,) = compare(np.repeat(target, 4), copied, np.repeat(np.arange(600), 4), **SETTINGS)
    assert again["bootstrap"] == pytest.approx(once["bootstrap"])
    assert again["delong"]["z"] == pytest.approx(2 * once["delong"]["z"], rel=0.01)


def test_the_paired_test_leaves_out_replicates_without_a_class() -> None:
    spread = np.array([1.0, -1.0, np.nan, 1.0, -1.0])
    made = paired_test(2.0, spread, 10**9)
    assert made.standard_error == pytest.approx(1)
    assert made.p == pytest.approx(2 * norm.sf(2.0))


def test_the_standard_error_of_a_difference_is_a_means_where_it_is_a_mean_over_patients() -> None:
    values = np.random.default_rng(1).normal(size=6)
    replicated = values[np.random.default_rng(2).integers(6, size=(100_000, 6))].mean(axis=1)
    made = paired_test(values.mean(), replicated, 6)
    assert made.standard_error == pytest.approx(values.std(ddof=1) / np.sqrt(6), rel=0.01)


@given(st.integers(2, 60), st.floats(-1, 1), st.integers(0, 99))
def test_one_side_of_a_paired_test_is_half_of_both_or_the_rest(n_clusters: int, difference: float, seed: int) -> None:
    replicated = difference + np.random.default_rng(seed).normal(size=100)
    made, turned = (paired_test(sign * difference, sign * replicated, n_clusters) for sign in (1, -1))
    assert made.p == pytest.approx(2 * min(p_greater(made), p_greater(turned)))
    assert p_greater(made) + p_greater(turned) == pytest.approx(1)


def test_one_patient_of_the_rarer_class_shows_no_difference() -> None:
    made = paired_test(0.4, np.linspace(0.3, 0.5, 100), 1)
    assert (made.p, p_greater(made)) == (1.0, 0.5)


@pytest.mark.parametrize(("n_clusters", "p"), [(2, 0.5), (6, 1 / 32)])
def test_where_every_replicate_has_the_same_difference_it_is_a_sign_test(n_clusters: int, p: float) -> None:
    assert paired_test(1.0, np.ones(100), n_clusters).p == p
    assert paired_test(-1.0, -np.ones(100), n_clusters).p == p
    assert paired_test(0.0, np.zeros(100), n_clusters).p == 1.0


def test_models_meet_on_the_images_that_all_predict() -> None:
    tables = {
        "a": pd.DataFrame({"image": list("dcba"), "probability": [4, 3, 2, 1]}),
        "b": pd.DataFrame({"image": list("bde"), "probability": [2, 4, 5]}),
    }
    for table in common_images(tables).values():
        assert table["image"].tolist() == ["b", "d"]
        assert table["probability"].tolist() == [2, 4]
