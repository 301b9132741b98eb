"""Predictions of any origin are checked as they are read, and join their labels by image."""

from pathlib import Path

import numpy as np
import pytest

from labeled_predictions import csv, study
from melanoma.common.errors import InputError
from melanoma.common.files import write_parquet
from melanoma.predictions.table import join_labels, named_paths, read_labels, read_predictions


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image_name,target\na,1\n", r"no column 'probability' or 'prob' among image, target"),
        ("image_name,porb\na,1\n", r"did you mean 'porb'\?"),
        ("image_name,prob\n", "no rows"),
        ("", "the table is empty"),
        ("image_name,prob\na,0.5\nb,1.5\n", r"(?s)not in 0 to 1, in 1 of 2 rows.*line 3, image b: 1.5"),
        ("image_name,prob\na,0.5\n\nb,\n", r"line 4, image b: nan"),
        ("image_name,prob\na,high\n", r"line 2, image a: high"),
        ("image_name,prob\na,0.5\nb,0.1\na,0.2\n", r"(?s)image repeated.*line 4, image a"),
        ("image_name,prob\n,0.5\n", r"no image name"),
        ("image_name,prob,target\na,0.5,2\n", r"label not 0 or 1.*\n.*line 2, image a: 2"),
        ("image_name,prob,target\na,0.5,1\nb,0.5,\n", r"line 3, image b: nan"),
        ("image_name,prob,fold\na,0.5,x\n", r"fold not a whole number.*\n.*line 2, image a: x"),
        ("image_name,prob\na,0.5\nb\n", r"rows of the wrong length:\n  - line 3: 1 fields, expected 2"),
        ("image,prob,logit\na,0.5,0\nb,0.5,2.2\n", r"logit not that of the probability.*\n.*line 3, image b: 2.2"),
        ("image,prob,logit\na,0.5,nan\n", r"logit not that of the probability"),
        ("image_name,prob,part\na,0.5,tset\n", r"part not 'train' or 'test'"),
    ],
)
def test_predictions_that_cannot_be_evaluated_are_refused_by_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        read_predictions(csv(tmp_path, text))
    assert str(raised.value).startswith(str(tmp_path))


def test_a_wrong_row_of_a_parquet_file_is_named_by_row(tmp_path: Path) -> None:
    table = study().drop(columns="target")
    table.loc[4, "probability"] = np.nan
    write_parquet(tmp_path / "cnn.parquet", table)
    with pytest.raises(InputError, match="row 5, image ISIC_0000004: nan"):
        read_predictions(tmp_path / "cnn.parquet")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(InputError, match=r"nowhere\.csv: no such table"):
        read_predictions("nowhere.csv")


def test_a_csv_is_read_to_the_last_bit(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random(1000)
    text = "image,probability\n" + "".join(f"i{i},{value!r}\n" for i, value in enumerate(values.tolist()))
    assert read_predictions(csv(tmp_path, text))["probability"].tolist() == values.tolist()


def test_image_names_that_look_like_numbers_stay_text(tmp_path: Path) -> None:
    table = read_predictions(csv(tmp_path, "image,patient,prob\n007,0012,0.5\n"))
    assert (table.loc[0, "image"], table.loc[0, "patient"]) == ("007", "0012")


def test_predictions_and_labels_must_cover_the_same_images() -> None:
    table = study()
    labels = table[["image", "target"]]
    with pytest.raises(InputError, match=r"(?s)cnn: 2 images with a prediction but no label.*ISIC_0000298"):
        join_labels(table, labels.iloc[:-2], "cnn")
    with pytest.raises(InputError, match=r"(?s)cnn: 3 images with a label but no prediction.*ISIC_0000297"):
        join_labels(table.iloc[:-3], labels, "cnn")
    assert len(join_labels(table.iloc[:-3], labels, "cnn", subset=True)) == 297


def test_labels_are_joined_by_image_not_by_row() -> None:
    table = study()
    labels = table[["image", "target"]].sample(frac=1, random_state=0)
    assert join_labels(table.drop(columns="target"), labels, "cnn")["target"].equals(table["target"])


def test_labels_are_read_with_their_checks(tmp_path: Path) -> None:
    assert read_labels(csv(tmp_path, "image_name,target\na,1\nb,0\n"))["target"].tolist() == [1, 0]
    with pytest.raises(InputError, match="no column 'target'"):
        read_labels(csv(tmp_path, "image_name,label\na,1\n"))


def test_files_are_named_once() -> None:
    assert named_paths(["cnn=a/b.csv", "x/y=z/mine.csv"]) == {
        "cnn": Path("a/b.csv"),
        "mine": Path("x/y=z/mine.csv"),
    }
    with pytest.raises(InputError, match="given twice: mine"):
        named_paths(["a/mine.csv", "b/mine.csv"])


def test_patients_are_given_for_all_images_or_for_none(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("image_name,target,prob,patient_id\na,1,.9,p\nb,0,.2,\nc,0,.4,r\n")
    with pytest.raises(InputError, match=r"no patient, in 1 of 3 rows.*\n.*line 3, image b"):
        read_predictions(path)
