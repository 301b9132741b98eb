"""The audit finds encoders, epochs and predictions of models that saw held-out images."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.config.optimization import Sampling
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.split.leakage import check_encoder, check_epoch, check_predictions
from melanoma.training.sampling import epoch_order
from simulated_split import FOLD_1, TEST, Study, members, study


def fold_rows(tables: Study) -> tuple[pd.DataFrame, pd.DataFrame]:
    held_out = tables.train["fold"] == 0
    return tables.train[~held_out].reset_index(drop=True), tables.train[held_out]


def test_an_encoder_fitted_on_its_training_rows_is_not_accused() -> None:
    tables = study()
    seen, held_out = fold_rows(tables)
    encoder = MetadataEncoder.fit(seen).to_dict()
    assert check_encoder(encoder, seen, {"validation": held_out, "test": tables.test}, "cnn") == []


@pytest.mark.parametrize("part", ["validation", "test", "both"])
def test_an_encoder_fitted_on_more_is_found_and_the_other_rows_named(part: str) -> None:
    tables = study()
    seen, held_out = fold_rows(tables)
    others = {"validation": held_out, "test": tables.test, "both": pd.concat([held_out, tables.test])}
    encoder = MetadataEncoder.fit(pd.concat([seen, others[part]])).to_dict()
    (finding,) = check_encoder(encoder, seen, others, "cnn:fold-0")
    assert finding["kind"] == "encoder fitted on more than train" and finding["boundary"] == "cnn:fold-0"
    assert finding["images"] == sorted(others[part]["image"])


def test_an_encoder_with_a_level_that_only_test_has_is_found() -> None:
    tables = study()
    seen, _ = fold_rows(tables)
    test = tables.test.assign(site=tables.test["site"].where(tables.test.index > 0, "oral/genital"))
    encoder = MetadataEncoder.fit(seen).to_dict()
    encoder["sites"] = sorted([*encoder["sites"], "oral/genital"])
    (finding,) = check_encoder(encoder, seen, {"test": test}, "cnn")
    assert finding["kind"] == "encoder not fitted on train" and set(finding["images"]) == set(test["image"])


@given(seed=st.integers(0, 99), epoch=st.integers(0, 9), ratio=st.sampled_from([0.5, 1.0]))
def test_an_epoch_drawn_after_the_split_shows_nothing_held_out(seed: int, epoch: int, ratio: float) -> None:
    tables = study()
    seen, held_out = fold_rows(tables)
    order = epoch_order(seen["target"].to_numpy(), Sampling(ratio=ratio), seed, epoch)
    assert check_epoch(order, seen, pd.concat([held_out, tables.test]), "cnn") == []


@pytest.mark.parametrize("renamed", [False, True])
def test_a_copy_in_an_epoch_of_a_held_out_image_is_found(renamed: bool) -> None:
    tables = study()
    seen, held_out = fold_rows(tables)
    copy = held_out.iloc[[0]].assign(image="COPY") if renamed else held_out.iloc[[0]]
    oversampled = pd.concat([seen, copy], ignore_index=True)
    (finding,) = check_epoch(np.arange(len(oversampled)), oversampled, held_out, "cnn")
    assert finding["kind"] == "over-sampled copy" and finding["images"] == copy["image"].tolist()
    assert check_epoch(np.arange(len(seen)), oversampled, held_out, "cnn") == [], "it was not drawn"


def predictions_of(tables: Study) -> pd.DataFrame:
    parts = [tables.train[tables.train["fold"] == 0].assign(part="train"), tables.test.assign(part="test", fold=-1)]
    rows = pd.concat(parts)[["image", "patient", "part", "fold"]]
    return rows.assign(logit=0.0, probability=0.5).reset_index(drop=True)


def audit(predictions: pd.DataFrame, tables: Study) -> list[dict[str, Any]]:
    return check_predictions(predictions, tables.train, tables.test, tables.labels, "cnn")


def test_predictions_out_of_fold_and_of_the_test_are_not_accused_however_good_they_are() -> None:
    tables = study()
    predictions = predictions_of(tables)
    target = predictions["image"].map(pd.concat([tables.train, tables.labels]).set_index("image")["target"])
    told = target * 0.8 + 0.1
    assert audit(predictions.assign(probability=told, patient_distance=told), tables) == []


def test_labels_of_train_beside_out_of_fold_predictions_are_no_leak() -> None:
    tables = study()
    predictions = predictions_of(tables)
    target = predictions["image"].map(tables.train.set_index("image")["target"]).astype("Int8")
    assert audit(predictions.assign(target=target), tables) == []


@pytest.mark.parametrize(
    ("column", "kind"), [("target", "label column target"), ("y", "column y that tells the label")]
)
def test_labels_beside_predictions_are_found(column: str, kind: str) -> None:
    tables = study()
    predictions = predictions_of(tables)
    target = predictions["image"].map(pd.concat([tables.train, tables.labels]).set_index("image")["target"])
    (finding,) = audit(predictions.assign(**{column: target}), tables)
    assert finding["kind"] == kind and finding["images"] == sorted(predictions["image"])


def test_a_prediction_by_a_model_that_trained_on_the_image_is_found() -> None:
    tables = study()
    predictions, names = predictions_of(tables), members(tables)
    row = predictions.iloc[[0]].assign(image=names[FOLD_1])
    (finding,) = audit(pd.concat([predictions, row]), tables)
    assert finding["kind"] == "prediction by a model that trained on the image"
    assert finding["images"] == [names[FOLD_1]]


def test_a_test_row_among_the_out_of_fold_predictions_is_found() -> None:
    tables = study()
    predictions, names = predictions_of(tables), members(tables)
    row = predictions.iloc[[0]].assign(image=names[TEST])
    (finding,) = audit(pd.concat([predictions, row]), tables)
    assert finding["kind"] == "test row among validation rows" and finding["images"] == [names[TEST]]
