"""Fitted fusions: honest out of fold, blind to the test's labels, and able to find what is there."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from melanoma.common.errors import InputError
from melanoma.config.data import Generate
from melanoma.config.networks import GradientBoosting
from melanoma.config.study import FusionSettings
from melanoma.demo.cohort import make_cohort
from melanoma.fusion.stacking import Weights, cross_fits, fit_function, fusion_table
from melanoma.predictions.patient_context import patient_distance, patients_of_part
from melanoma.stats.calibration import patient_folds
from melanoma.stats.metrics import auroc, log_loss

BOOSTING = GradientBoosting(max_iter=20, min_samples_leaf=10)
METHODS = ["weighted", "logistic", "gradient_boosting"]


def fusion(method: str, members: list[str], **changes: Any) -> FusionSettings:
    """Return the settings of a fusion; a test may have a single member, which no study may have."""
    settings = FusionSettings(method=method, members=("a", "b"), gradient_boosting=BOOSTING, **changes)
    return settings.model_copy(update={"members": tuple(members)})


def member(cohort: pd.DataFrame, score: np.ndarray) -> pd.DataFrame:
    """Return predictions of a score, out of fold where the cohort has a fold, else of test."""
    rows = cohort[["image", "patient", "part", "fold"]]
    return rows.assign(logit=score, probability=1 / (1 + np.exp(-score)), patient_distance=np.nan)


def study(seed: int = 0, images: int = 400, **signals: float) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Draw a cohort of train and test, and a good and a poor model of what is seen."""
    signals = {"pixel_signal": 2.0, "metadata_signal": 1.0, "prevalence": 0.25} | signals
    cohort = make_cohort(Generate(images=images, seed=seed, **signals))
    number = pd.factorize(cohort["patient"])[0]
    cohort["part"] = np.where(number % 4 == 0, "test", "train")
    cohort["fold"] = np.where(number % 4 == 0, -1, number % 3).astype(np.int8)
    noise = np.random.default_rng(seed).normal(size=(2, images))
    good, poor = cohort["s"].to_numpy() + 0.3 * noise[0], noise[1]
    return cohort, {"good": member(cohort, good), "poor": member(cohort, poor)}


def table(cohort: pd.DataFrame, members: dict[str, pd.DataFrame], context: bool = False) -> pd.DataFrame:
    train = cohort["part"] == "train"
    known = cohort[["image", "patient", "age", "sex", "site", "width", "height", "target"]]
    return fusion_table(members, known[train], known[~train].drop(columns="target"), context)


@pytest.mark.parametrize("method", METHODS)
def test_a_patients_labels_never_reach_its_own_fused_predictions(method: str) -> None:
    """Labels moved about within the patients of one fold change nothing of that fold's fused predictions."""
    cohort, members = study()
    rows = table(cohort, members)
    fit = fit_function(fusion(method, list(members)))
    plain = cross_fits(rows, fit, 5, 1).probability
    swapped = rows.copy()
    train = rows[rows["part"] == "train"]
    fold = patient_folds(train["target"].to_numpy(int), train["patient"].to_numpy(str), 5, 1)
    held = train.index[fold == 0]
    # Who has a melanoma, by which patients are dealt into folds, stays as it is.
    swapped.loc[held, "target"] = swapped.loc[held].groupby("patient")["target"].transform(lambda own: np.roll(own, 1))
    assert (swapped["target"] != rows["target"])[held].any()
    changed = cross_fits(swapped, fit, 5, 1).probability
    np.testing.assert_array_equal(changed[held], plain[held])
    assert (changed != plain).any()


@pytest.mark.parametrize("method", METHODS)
def test_the_test_changes_nothing_out_of_fold_and_its_labels_are_not_there(method: str) -> None:
    cohort, members = study()
    rows = table(cohort, members, context=True)
    assert rows.loc[rows["part"] == "test", "target"].isna().all()
    chosen = fusion(method, list(members), context=method != "weighted")
    whole = cross_fits(rows, fit_function(chosen), 5, 1).probability
    alone = rows[rows["part"] == "train"]
    without = cross_fits(alone, fit_function(chosen), 5, 1).probability
    np.testing.assert_array_equal(whole[(rows["part"] == "train").to_numpy()], without)


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_fitted_weights_lie_on_the_simplex_and_leave_out_noise(seed: int) -> None:
    cohort, members = study(seed)
    rows = table(cohort, members)
    weights = Weights.fit(rows[rows["part"] == "train"], list(members)).weights
    assert list(weights) == list(members) and min(weights.values()) >= 0
    assert sum(weights.values()) == pytest.approx(1, abs=1e-12)
    assert weights["good"] > weights["poor"]


@pytest.mark.parametrize("method", METHODS)
def test_fused_predictions_are_probabilities_and_better_calibrated_than_raw_scores(method: str) -> None:
    cohort, members = study(images=1500)
    rows = table(cohort, members)
    fused, combination, _ = cross_fits(rows, fit_function(fusion(method, list(members))), 5, 1)
    train = (rows["part"] == "train").to_numpy()
    target = rows.loc[train, "target"].to_numpy()
    assert ((fused >= 0) & (fused <= 1)).all()
    assert log_loss(target, fused[train]) <= log_loss(target, rows.loc[train, "probability good"].to_numpy()) + 0.01
    assert bool(combination.summary()) == (method != "gradient_boosting")


def test_a_stack_gains_what_metadata_add() -> None:
    cohort, members = study(images=3000, metadata_signal=2.4)
    rows, test = table(cohort, members), (cohort["part"] == "test").to_numpy()
    target = cohort["target"].to_numpy()[test]
    with_metadata = cross_fits(rows, fit_function(fusion("logistic", ["good", "poor"])), 5, 1).probability
    without = cross_fits(rows, fit_function(fusion("logistic", ["good", "poor"], inputs=())), 5, 1).probability
    assert auroc(target, with_metadata[test]) > auroc(target, without[test]) + 0.05


def test_only_context_finds_how_a_lesion_differs_from_its_patients_other_lesions() -> None:
    """The best possible model of one image at a time has an AUROC of .63; with the patient's usual look known, .93."""
    hidden = {"pixel_signal": 0.0, "metadata_signal": 0.0, "relative_signal": 3.0, "within_patient_correlation": 0.9}
    cohort, _ = study(images=3000, **hidden)
    members = {"image": member(cohort, cohort["s"].to_numpy())}
    rows, test = table(cohort, members, context=True), (cohort["part"] == "test").to_numpy()
    target = cohort["target"].to_numpy()[test]
    found = {}
    for method in ("logistic", "gradient_boosting"):
        for context in (True, False):
            fused = cross_fits(rows, fit_function(fusion(method, ["image"], context=context)), 5, 1).probability
            found[method, context] = auroc(target, fused[test])
    assert min(found["logistic", True], found["gradient_boosting", True]) > 0.8
    assert max(found["logistic", False], found["gradient_boosting", False]) < 0.7


def unlike_others(seed: int) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Draw a cohort whose melanomas look as if they were another patient's, and two models whose scores are noise.

    Every embedding, melanoma or not, is drawn alike, so from one image at a time nobody can tell. The second model sees
    no images.
    """
    cohort, _ = study(seed, images=3000, pixel_signal=0.0, metadata_signal=0.0)
    generator = np.random.default_rng(seed)
    number = pd.factorize(cohort["patient"])[0]
    usual, another = generator.normal(size=(number.max() + 1, 32)), generator.normal(size=(len(cohort), 32))
    look = np.where(cohort["target"].to_numpy()[:, None] == 1, another, usual[number])
    rows = member(cohort, generator.normal(size=len(cohort)))
    embeddings = look + 0.7 * generator.normal(size=look.shape)
    seeing = rows.assign(patient_distance=patient_distance(embeddings, patients_of_part(rows)))
    return cohort, {"seeing": seeing, "blind": member(cohort, generator.normal(size=len(cohort)))}


def test_an_image_that_stands_apart_from_its_patients_others_is_found_by_context_alone() -> None:
    cohort, members = unlike_others(0)
    rows, test = table(cohort, members, context=True), (cohort["part"] == "test").to_numpy()
    target = cohort["target"].to_numpy()[test]
    for method in ("logistic", "gradient_boosting"):
        found = {}
        for context in (True, False):
            chosen = fusion(method, list(members), context=context, inputs=())
            fused = cross_fits(rows, fit_function(chosen), 5, 1).probability
            found[context] = auroc(target, fused[test])
        assert found[True] > 0.8
        assert abs(found[False] - 0.5) < 0.1


def test_a_member_without_distances_adds_no_columns_of_them() -> None:
    cohort, members = unlike_others(1)
    rows = table(cohort, members, context=True)
    assert [name for name in rows if name.startswith("distance")] == [
        "distance seeing",
        "distance z seeing",
        "distance rank seeing",
    ]
    combination = cross_fits(rows, fit_function(fusion("logistic", list(members), context=True)), 5, 1).combination
    assert set(combination.summary()) >= {"logit blind", "z blind", "logit seeing", "z seeing", "distance z seeing"}
    assert "distance blind" not in combination.summary()
    plain = cross_fits(rows, fit_function(fusion("logistic", list(members))), 5, 1).combination.summary()
    assert not [name for name in plain if "distance" in name]


@pytest.mark.parametrize("counted", [True, False])
def test_a_context_has_the_number_of_images_unless_the_fusion_says_no(counted: bool) -> None:
    cohort, members = study()
    chosen = fusion("logistic", list(members), context=True, image_count=counted)
    combination = cross_fits(table(cohort, members, context=True), fit_function(chosen), 5, 1).combination
    assert any("images_per_patient" in name for name in combination.summary()) == counted


def test_a_fusion_needs_out_of_fold_predictions_and_two_patients_of_each_class() -> None:
    cohort, members = study()
    tested = {name: rows[rows["part"] == "test"] for name, rows in members.items()}
    with pytest.raises(InputError, match=r"no out-of-fold predictions \(part 'train'\)"):
        table(cohort, tested)
    rows = table(cohort, members)
    first = rows["patient"] == rows["patient"].iloc[0]
    one = rows.assign(target=np.where(rows["target"].isna(), np.nan, first.astype(float)))
    with pytest.raises(InputError, match="at least two must have a"):
        cross_fits(one, fit_function(fusion("logistic", list(members))), 5, 1)
