"""Sources of any table: no header, lists of classes, tables joined by lesion, folders as classes."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from melanoma.common.errors import InputError
from melanoma.config.data import Data
from melanoma.data.catalog import build_catalog


def catalog(folder: Path, tables: dict[str, str], **source: Any) -> pd.DataFrame:
    """Write tables, named after their key of the source, and return the catalog of the source."""
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text)
    paths = {name: f"{folder}/{name}.csv" for name in tables}
    return build_catalog(Data(sources=[{"name": "a", "images": None} | paths | source]))[0]


NO_HEADER = {"table": "ISIC_0000000,benign\nISIC_0000001,malignant\nISIC_0000002,benign\n"}
WORDS = {"target": {"benign": 0, "malignant": 1}}


def test_a_table_without_a_header_gets_its_names_from_the_source(tmp_path: Path) -> None:
    found = catalog(tmp_path, NO_HEADER, layout="isic", header=["image", "target"], values=WORDS)
    assert found["image"].tolist() == ["ISIC_0000000", "ISIC_0000001", "ISIC_0000002"]
    assert found["target"].tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    "source",
    [{"layout": "isic"}, {"layout": "columns", "columns": {"image": "ISIC_0000000", "target": "benign"}}],
    ids=["isic", "columns"],
)
def test_the_first_image_of_a_table_without_a_header_is_not_lost(tmp_path: Path, source: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"table.csv: no header: the first line has ISIC_0000000.* header: \[image_id"):
        catalog(tmp_path, NO_HEADER, values=WORDS, **source)


def test_a_list_as_diagnosis_is_one_column_for_each_class(tmp_path: Path) -> None:
    table = "name,Common Nevus,Melanoma\nIMD003,X,\nIMD058,,X\n"
    columns = {"image": "name", "diagnosis": ["Common Nevus", "Melanoma"]}
    values = {"diagnosis": {"common nevus": "nevus"}}
    found = catalog(tmp_path, {"table": table}, layout="columns", columns=columns, values=values)
    assert found["diagnosis"].tolist() == ["nevus", "melanoma"] and found["target"].tolist() == [0, 1]


def test_a_class_of_the_list_that_the_table_lacks_is_named(tmp_path: Path) -> None:
    columns = {"image": "name", "diagnosis": ["nevus", "Melanom"]}
    with pytest.raises(InputError, match=r"no column Melanom \(is Melanoma meant\?\)"):
        catalog(tmp_path, {"table": "name,nevus,Melanoma\na,1,0\n"}, layout="columns", columns=columns)


def test_columns_add_to_the_names_of_a_layout(tmp_path: Path) -> None:
    table = "isic_id,target,tone\na,0,V\nb,1,2.0\n"
    found = catalog(tmp_path, {"table": table}, layout="isic", columns={"skin_type": "tone"})
    assert found["skin_type"].tolist() == ["5", "2"]


IMAGES = "isic_id,lesion_id,sex\na,L1,male\nb,L1,male\nc,L2,female\n"
TRUTH = "lesion_id,MEL,NV\nL1,1,0\nL2,0,1\n"


@pytest.mark.parametrize("swapped", [False, True])
def test_the_truth_of_lesions_is_joined_to_the_images_in_either_order(tmp_path: Path, swapped: bool) -> None:
    tables = {"table": TRUTH, "metadata": IMAGES} if swapped else {"table": IMAGES, "metadata": TRUTH}
    found = catalog(tmp_path, tables, layout="isic")
    assert found["image"].tolist() == ["a", "b", "c"] and found["target"].tolist() == [1, 1, 0]
    assert found["sex"].tolist() == ["male", "male", "female"]


def test_an_image_whose_lesion_has_no_truth_is_refused(tmp_path: Path) -> None:
    tables = {"table": IMAGES + "d,L3,male\n", "metadata": TRUTH}
    with pytest.raises(InputError, match="line 5, image d"):
        catalog(tmp_path, tables, layout="isic")


def test_a_lesion_of_two_classes_is_refused_in_the_table_of_lesions(tmp_path: Path) -> None:
    tables = {"table": IMAGES, "metadata": TRUTH.replace("L2,0,1", "L2,1,1")}
    with pytest.raises(InputError, match=r"metadata.csv: MEL, NV: .*\n.*line 3, image c: 'MEL=1, NV=1'"):
        catalog(tmp_path, tables, layout="isic")


def folders(folder: Path, **images: int) -> str:
    for name, count in images.items():
        (folder / "images" / name).mkdir(parents=True)
        for number in range(count):
            (folder / "images" / name / f"{name}_{number}.jpg").touch()
    return f"{folder}/images"


def test_folders_are_classes_of_the_vocabulary(tmp_path: Path) -> None:
    found = catalog(tmp_path, {}, layout="folders", images=folders(tmp_path, melanoma=2, nevus=1))
    assert found["diagnosis"].tolist() == ["melanoma", "melanoma", "nevus"] and found["target"].tolist() == [1, 1, 0]


def test_a_table_adds_columns_to_folders(tmp_path: Path) -> None:
    metadata = {"metadata": "file,patient,age\nmelanoma_0.jpg,p1,50\nnevus_0.jpg,p2,60\n"}
    source = {"layout": "folders", "images": folders(tmp_path, melanoma=1, nevus=1)}
    found = catalog(tmp_path, metadata, columns={"image": "file", "patient": "patient", "age": "age"}, **source)
    assert found["age"].tolist() == [50, 60] and found["patient"].str[-2:].tolist() == ["p1", "p2"]


def test_a_folder_that_is_no_word_of_the_vocabulary_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"images: folder: expected a diagnosis.*\n.*file 1, image holiday_0: 'holiday'"
    ):
        catalog(tmp_path, {}, layout="folders", images=folders(tmp_path, melanoma=1, holiday=1))


def test_declared_subgroups_are_kept_in_any_layout_and_missing_where_a_table_lacks_them(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("isic_id,target,clinic\na,0,Graz\nb,1,\n")
    (tmp_path / "two.csv").write_text("file,label,patient\nc,0,p\nd,1,q\n")
    columns = {"image": "file", "target": "label", "patient": "patient"}
    sources: list[dict[str, Any]] = [
        {"name": "one", "layout": "isic", "table": f"{tmp_path}/one.csv", "images": None},
        {"name": "two", "layout": "columns", "columns": columns, "table": f"{tmp_path}/two.csv", "images": None},
    ]
    found = build_catalog(Data.model_validate({"sources": sources, "subgroups": ["clinic"]}))[0]
    assert found["subgroup_clinic"].fillna("").tolist() == ["Graz", "", "", ""]
    with pytest.raises(InputError, match=r"data.subgroups: no table has a column device; the columns are: isic_id"):
        build_catalog(Data.model_validate({"sources": sources, "subgroups": ["device"]}))


def test_how_a_diagnosis_was_confirmed_is_kept(tmp_path: Path) -> None:
    table = "isic_id,target,diagnosis_confirm_type\na,0,single image expert consensus\nb,1,histopathology\n"
    found = catalog(tmp_path, {"table": table}, layout="isic")
    assert found["confirmation"].tolist() == ["single image expert consensus", "histopathology"]
