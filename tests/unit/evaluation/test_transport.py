"""What is decided out of fold holds for what predicts the test: the mean of the folds' models, or the refit."""

import numpy as np
import pandas as pd
import pytest
import transport as benchmark

from melanoma.evaluation.transport import equated, local_means, transported


@pytest.mark.large
@pytest.mark.parametrize("test_by", ["fold_mean", "refit"])
def test_the_intended_sensitivity_is_achieved_in_the_mean_of_simulated_studies(test_by: str) -> None:
    seeds = range(1000, 1030)
    reached = [benchmark.rates(benchmark.study(*benchmark.simulated(seed, 1.07))[test_by]) for seed in seeds]
    intended, achieved, before, intended_specificity, specificity = np.mean(reached, axis=0)
    assert achieved == pytest.approx(intended, abs=0.015), "the standard error of this mean is 0.004"
    assert specificity == pytest.approx(intended_specificity, abs=0.02)
    assert (before > 0.95) == (test_by == "fold_mean")


def test_each_class_keeps_its_mean_and_loses_the_variance_between_the_models() -> None:
    draw = np.random.default_rng(0)
    target = np.repeat([0, 1], 500)
    rows = pd.DataFrame({"logit": 2 * target + draw.normal(size=1000), "probability": 0.0, "target": target})
    models = np.array([-0.5, 0.5]) + np.linspace(-4, 6, 1000)[:, None]  # a variance of 0.25 everywhere
    columns = {f"logit_fold-{fold}": models[:, fold] for fold in (0, 1)}
    moved = transported(rows, pd.DataFrame({"logit": models.mean(axis=1), **columns}))
    for label in (0, 1):
        before, after = (table.loc[table["target"] == label, "logit"] for table in (rows, moved))
        assert after.mean() == pytest.approx(before.mean(), abs=1e-12)
        assert after.var(ddof=0) == pytest.approx(before.var(ddof=0) - 0.25, abs=1e-12)
    assert moved["probability"].tolist() == pytest.approx((1 / (1 + np.exp(-moved["logit"]))).tolist())


def test_at_an_equated_threshold_both_models_call_as_many_images_melanoma() -> None:
    draw = np.random.default_rng(0)
    by, to = draw.normal(size=501), 0.7 * draw.normal(size=501) + 1
    thresholds = draw.permutation(by)
    called = [(to >= threshold).sum() for threshold in equated(thresholds, by, to)]
    assert called == [(by >= threshold).sum() for threshold in thresholds]


def test_each_fold_is_moved_to_the_scale_of_the_refit() -> None:
    logit = np.arange(11.0)
    columns = {"logit_fold-0": 2 * logit, "logit_fold-1": logit - 5, "logit_fold-refit": logit}
    test = pd.DataFrame({"logit": logit, "probability": 1 / (1 + np.exp(-logit)), **columns})
    rows = pd.DataFrame({"fold": [1, 0, 0, 1], "logit": [-4.5, 3.0, 26.0, -7.0], "probability": 0.0})
    moved = transported(rows, test.sample(frac=1, random_state=0))
    assert moved["logit"].tolist() == [0.5, 1.5, 16.0, -2.0]
    assert moved["probability"].tolist() == pytest.approx((1 / (1 + np.exp(-moved["logit"]))).tolist(), abs=0.02)


@pytest.mark.parametrize("probability", [0.1, 0.3, 1 / 3, 0.7, 0.97])
def test_scores_that_all_images_share_have_the_probability_of_the_test_to_the_bit(probability: float) -> None:
    logit = np.log(probability / (1 - probability))
    columns = {"logit_fold-0": np.nextafter(-2.0, 0), "logit_fold-refit": np.nextafter(logit, 9)}
    test = pd.DataFrame({"logit": [logit] * 5, "probability": probability, **columns})
    moved = transported(pd.DataFrame({"fold": 0, "logit": [-2.0] * 4, "probability": 0.1}), test)
    assert (moved["probability"] == probability).all()


def test_a_score_that_several_images_share_stays_one_of_the_other_models_scores() -> None:
    by, to = np.array([0.0, 0, 0, 1, 1, 1]), np.array([0.0, 0, 2, 2, 3, 3])
    assert equated(np.array([0.0, 1.0]), by, to).tolist() == [0, 3]


def test_nothing_moves_if_one_model_predicts_the_test() -> None:
    rows = pd.DataFrame({"logit": [1.0, 2.0], "probability": [0.7, 0.9], "target": [0, 1]})
    assert transported(rows, rows) is rows


def test_a_local_mean_is_of_the_nearest_places_at_the_ends_too() -> None:
    place = np.arange(200.0)[::-1]
    assert local_means(place, place, np.array([-9.0, 100.0, 900.0])).tolist() == [24.5, 99.5, 174.5]
