"""Predictions made elsewhere: taken by image, refused where a row is missing or cannot have been held out."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tiny
from melanoma.common.errors import InputError
from melanoma.config.study import resolve
from melanoma.predictions.external import external_predictions, predictions_of_external_sources
from melanoma.predictions.table import COLUMNS, read_predictions
from minimal_config import with_

TRAIN = tiny.table(60)
TEST = tiny.table(20, seed=1).drop(columns=["target", "fold"]).assign(
    image=[f"TEST_{number}" for number in range(20)], patient=[f"TP_{number // 2}" for number in range(20)]
)  # fmt: skip
EVERY = pd.concat([TRAIN["image"], TEST["image"]], ignore_index=True)
SCORES = pd.Series(np.linspace(0, 1, len(EVERY)), index=EVERY)


def file(folder: Path, **columns: object) -> Path:
    """Write a table of all images, a Kaggle submission if no other columns are given; None leaves a column out."""
    table = pd.DataFrame({"image_name": EVERY, "target": SCORES.to_numpy()} | columns).dropna(axis=1, how="all")
    table.sample(frac=1, random_state=0).to_csv(folder / "theirs.csv", index=False)
    return folder / "theirs.csv"


def fold_of(images: pd.Series) -> pd.Series:
    return images.map(TRAIN.set_index("image")["fold"])


def taken(path: Path, folds: tuple[int, ...] = (0,), fused: bool = False) -> pd.DataFrame:
    return external_predictions(path, TRAIN, TEST, list(folds), fused)


def test_a_kaggle_submission_gives_the_test_by_image_and_nothing_out_of_fold(tmp_path):
    rows = taken(file(tmp_path))
    assert list(rows) == COLUMNS and set(rows["part"]) == {"test"}
    assert rows["image"].tolist() == TEST["image"].tolist()
    assert rows["probability"].tolist() == pytest.approx(SCORES[TEST["image"]].tolist(), abs=1e-12)
    assert rows["target"].isna().all() and np.isfinite(rows["logit"]).all()
    assert rows["patient_distance"].isna().all()


def test_distances_are_taken_by_image_where_the_file_has_them(tmp_path):
    rows = taken(file(tmp_path, patient_distance=2 * SCORES.to_numpy(), fold=fold_of(EVERY)), fused=True)
    assert rows["patient_distance"].tolist() == pytest.approx((2 * rows["probability"]).tolist(), abs=1e-12)
    assert set(rows["part"]) == {"train", "test"}


def test_a_stated_prevalence_of_the_training_is_taken_by_image(tmp_path):
    rows = taken(file(tmp_path, trained_prevalence=0.5))
    assert set(rows["trained_prevalence"]) == {0.5}
    assert taken(file(tmp_path))["trained_prevalence"].isna().all()


@pytest.mark.parametrize("share", [0, 1, 50])
def test_a_prevalence_that_is_no_share_of_both_classes_is_an_error(tmp_path, share):
    with pytest.raises(InputError, match="trained_prevalence not between 0 and 1"):
        taken(file(tmp_path, trained_prevalence=share))


@pytest.mark.parametrize("column", ["fold", "part"])
def test_rows_that_were_out_of_fold_join_with_our_folds_and_labels(tmp_path, column):
    theirs = {"fold": fold_of(EVERY), "part": ["train"] * 60 + ["test"] * 20}[column]
    rows = taken(file(tmp_path, **{column: theirs}), folds=(0, 2), fused=True)
    held_out = rows[rows["part"] == "train"]
    wanted = TRAIN[TRAIN["fold"].isin([0, 2])]
    assert held_out["image"].tolist() == wanted["image"].tolist()
    assert held_out["fold"].tolist() == wanted["fold"].tolist()
    assert held_out["target"].tolist() == wanted["target"].tolist()
    assert set(rows.loc[rows["part"] == "test", "image"]) == set(TEST["image"])


def test_an_image_of_our_test_that_was_out_of_fold_elsewhere_is_a_row_of_our_test(tmp_path):
    rows = taken(file(tmp_path, fold=np.arange(80) // 2 % 5), folds=(0,))
    assert rows.loc[rows["part"] == "test", "image"].tolist() == TEST["image"].tolist()
    assert rows["image"].is_unique


def test_what_is_written_reads_as_predictions(tmp_path):
    taken(file(tmp_path, fold=fold_of(EVERY))).to_parquet(tmp_path / "theirs.parquet")
    read = read_predictions(tmp_path / "theirs.parquet")
    assert set(read["part"]) == {"train", "test"} and read["target"].isna().sum() == len(TEST)


def test_a_probability_is_preferred_to_a_column_of_labels(tmp_path):
    labeled = file(tmp_path, prob=SCORES.to_numpy()[::-1], target=(np.arange(80) % 2))
    assert taken(labeled)["probability"].max() <= SCORES.iloc[:20].max() + 1e-12


def test_missing_test_images_are_named(tmp_path):
    path = file(tmp_path)
    table = pd.read_csv(path)
    table[~table["image_name"].isin(["TEST_3", "TEST_7"])].to_csv(path, index=False)
    with pytest.raises(InputError, match=r"(?s)2 of 20 images of the test have no prediction:.*TEST_3.*TEST_7"):
        taken(path)


@pytest.mark.parametrize(
    ("columns", "fused", "message"),
    [
        ({}, True, "no out-of-fold predictions, and fusions are fitted to these"),
        ({"target": SCORES.to_numpy() * 3}, False, r"no probability from 0 to 1, in 53 of 80 rows"),
        ({"patient_distance": [0.5, None] * 40}, False, r"patient_distance not in 0 to 2, in 40 of 80 rows"),
        ({"patient_distance": SCORES.to_numpy() * 3}, False, r"patient_distance not in 0 to 2"),
        ({"target": None}, False, "no column of probabilities among image;"),
        ({"fold": np.arange(80) % 3}, False, r"patients have images in several folds"),
        ({"part": ["train"] * 30 + ["test"] * 50}, False, r"images of the folds that are run have no out-of-fold"),
        ({"image_name": ["TEST_1"] * 80}, False, "image missing or repeated"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path, columns, fused, message):
    with pytest.raises(InputError, match=message):
        taken(file(tmp_path, **columns), fused=fused)


def test_an_external_source_has_predictions_if_all_its_images_have_and_else_it_is_named(tmp_path, caplog):
    images = TEST.assign(source=["clinic"] * 12 + ["challenge"] * 8)
    path = file(tmp_path, image_name=EVERY.replace("TEST_19", "other"))
    rows = predictions_of_external_sources(path, images)
    assert list(rows) == COLUMNS and rows["image"].tolist() == TEST["image"].tolist()[:12]
    assert rows["probability"].tolist() == pytest.approx(SCORES[rows["image"]].tolist(), abs=1e-12)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.endswith("no result for the external source challenge, because 1 of its 8 images have no row")
    none = predictions_of_external_sources(file(tmp_path, image_name=EVERY + "x"), images)
    assert list(none) == COLUMNS and none.empty


def test_a_file_belongs_to_network_external_predictions_and_to_no_other():
    assert resolve(with_("models.theirs", {"network": "external_predictions", "file": "a.csv"}))
    for recipe in ({"network": "external_predictions"}, {"network": "metadata_mlp", "file": "a.csv"}):
        with pytest.raises(InputError, match=r"models.theirs.file: network external_predictions needs the file"):
            resolve(with_("models.theirs", recipe))
    for key, value in (("tune", {"space": {"epochs": [1, 2]}}), ("seeds", [1, 2])):
        with pytest.raises(InputError, match=rf"models.theirs.{key}: only for networks"):
            resolve(with_("models.theirs", {"network": "external_predictions", "file": "a.csv", key: value}))
