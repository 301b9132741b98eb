"""A proposal for a folder and a table loads, passes the check, and says what is doubtful."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

import check_data
from foreign_tables import ROWS, foreign, kaggle, write, write_images
from in_process import call
from melanoma.common.errors import InputError
from melanoma.data_check.proposal import propose


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def proposed(capsys, *options: str) -> tuple[dict, str]:
    """Return the study that the script proposes and what it printed. The study must pass the check."""
    call(check_data, *options)
    text = capsys.readouterr().out
    Path("proposed.yaml").write_text(text)
    call(check_data, "--configfile", "proposed.yaml")  # it exits with 1 if the study cannot run
    assert "can run." in capsys.readouterr().out
    return yaml.safe_load(text), text


def test_a_foreign_table_and_its_images(capsys):
    table = foreign()
    folder = write_images(list(table["Datei"]))
    study, text = proposed(capsys, "--images", folder, "--table", write(table))
    (source,) = study["data"]["sources"]
    assert source["name"] == "clinic" and source["layout"] == "columns"
    assert source["columns"]["target"] == "Dignität" and source["columns"]["patient"] == "PatID"
    assert source["values"] == {"target": {"malignant": 1, "benign": 0}, "sex": {"m": "male", "w": "female"}}
    assert set(study["models"]) == {"image", "metadata"}
    assert "malignant: 1  # is every malignant lesion here a melanoma? A carcinoma is 0" in text


def test_a_known_header_is_its_layout(capsys):
    study, _ = proposed(capsys, "--table", write(kaggle()))
    assert study["data"]["sources"][0]["layout"] == "kaggle"
    assert study["models"]["metadata"]["inputs"] == ["age", "sex", "site"]


def test_rows_that_cannot_be_used_are_counted(capsys):
    table = foreign()
    folder = write_images(list(table["Datei"][:-3]))
    study, text = proposed(capsys, "--images", folder, "--table", write(table))
    assert study["data"]["on_bad_row"] == "drop" and "# 3 rows cannot be used" in text
    assert "# 95% of the rows have an image file" in text


def test_a_target_of_malignancy_gives_way_to_the_diagnosis(capsys):
    carcinoma = foreign()["Dignität"].eq("malignant") & (foreign().index % 16 == 0)
    diagnosis = foreign()["Dignität"].map({"malignant": "melanoma", "benign": "nevus"}).mask(carcinoma, "BCC")
    study, text = proposed(capsys, "--table", write(foreign().assign(dx=diagnosis).rename(columns={"Datei": "file"})))
    (source,) = study["data"]["sources"]
    assert source["columns"]["diagnosis"] == "dx" and "target" not in source["columns"]
    assert "Dignität is left out, because it contradicts this column" in text


def test_a_near_diagnosis_never_changes_the_class():
    words = foreign()["Dignität"].map({"malignant": "melanoma", "benign": "melanosis x"})
    table = foreign().drop(columns="Dignität").rename(columns={"Datei": "file"})
    words[:8] = "nevus"
    source = propose([], write(table.assign(diagnosis=words))).source
    assert source["values"]["diagnosis"] == {"melanosis x": "other benign"}


def test_folders_are_classes(capsys):
    names = [f"{'melanoma' if n % 4 == 0 else 'nevi'}/{n}.jpg" for n in range(ROWS)]
    study, text = proposed(capsys, "--images", write_images(names))
    (source,) = study["data"]["sources"]
    assert source["layout"] == "folders" and set(study["models"]) == {"image"}
    assert "no table names the patients" in text


def test_folders_of_training_and_test_are_joined(capsys):
    names = [f"{'train' if n % 3 else 'test'}/{'malignant' if n % 4 == 0 else 'benign'}/{n}.jpg" for n in range(ROWS)]
    study, text = proposed(capsys, "--images", write_images(names))
    (source,) = study["data"]["sources"]
    assert source["images"] == ["jpeg/test", "jpeg/train"]
    assert source["values"] == {"target": {"benign": 0, "malignant": 1}}
    assert "malignant: 1  # is every malignant lesion here a melanoma?" in text


def test_images_in_subfolders_are_no_classes_if_there_is_a_table(capsys):
    table = foreign()
    names = [f"part_{n % 2}/{name}" for n, name in enumerate(table["Datei"])]
    study, _ = proposed(capsys, "--images", write_images(names), "--table", write(table))
    assert study["data"]["sources"][0]["images"] == "jpeg"


def test_without_a_patient_the_proposal_says_so(capsys):
    table = foreign().drop(columns="PatID").rename(columns={"Datei": "file"})
    _, text = proposed(capsys, "--table", write(table))
    assert "columns:  # no column is the patient: images of one patient may be in training and test" in text


def test_ids_that_differ_only_in_spelling_are_the_same_until_the_user_says_otherwise(capsys):
    table = foreign().rename(columns={"Datei": "file"})
    table.loc[1::4, "PatID"] = table["PatID"].str.lower()
    study, text = proposed(capsys, "--table", write(table))
    assert study["data"]["sources"][0]["similar_ids"] == "same"
    assert "similar_ids: same  # some ids differ only in their spelling, as P7 and p7; or different" in text


def test_few_melanomas_get_fewer_folds(capsys):
    table = foreign()[: ROWS // 2].rename(columns={"Datei": "file"})
    study, text = proposed(capsys, "--table", write(table))
    assert study["split"]["folds"] < 5 and "with five, a part would have no melanoma" in text


def test_a_table_that_nothing_fits_is_refused_with_the_reason():
    with pytest.raises(InputError, match="no column is named as one of images"):
        propose([], write(pd.DataFrame({"a": ["x", "y"], "b": ["u", "v"]})))
    with pytest.raises(InputError, match=r"no column says which image is a melanoma: .* The columns are: file, b"):
        propose([], write(pd.DataFrame({"file": ["x", "y"], "b": ["u", "v"]})))
    with pytest.raises(InputError, match=r"no column has the names of the image files, such as z\.jpg"):
        propose([write_images(["z.jpg"])], write(pd.DataFrame({"file": ["x", "y"], "b": ["u", "v"]})))


def test_a_folder_without_images_and_one_that_does_not_exist():
    Path("empty").mkdir()
    with pytest.raises(InputError, match="empty: no image file"):
        propose(["empty"], None)
    with pytest.raises(InputError, match=r"emptyy: no such folder \(is empty meant\?\)"):
        propose(["emptyy"], None)
