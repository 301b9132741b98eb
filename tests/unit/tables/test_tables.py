"""A patient, lesion or image has the same name in all formats: 100.0 is 100, and no other name changes."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import workflow
from melanoma.config.data import Data
from melanoma.data.catalog import build_catalog
from melanoma.predictions.external import external_predictions
from melanoma.predictions.table import read_labels, read_predictions
from melanoma.split.assign import read_pairs
from melanoma.tables.identifiers import plain
from melanoma.tables.tables import read_table, without_formulas

# If a cell of a column is empty, pandas stores whole numbers exactly only up to this one.
MOST = 2**53
KINDS = ("csv", "tsv", "parquet")
COLUMNS = {"image": "image", "patient": "case", "lesion": "lesion", "target": "target"}


def written(folder: Path, kind: str, table: pd.DataFrame) -> Path:
    path = folder / f"table.{kind}"
    if kind == "parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if kind == "tsv" else ",")
    return path


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("100.0", "100"),
        ("100.00", "100"),
        ("007.0", "007"),
        ("0.0", "0"),
        ("-3.0", "-3"),
        (100.0, "100"),
        (100, "100"),
        (2.0**60, str(2**60)),
    ],
)
def test_a_whole_number_with_a_fraction_is_that_whole_number(text: object, name: str) -> None:
    assert plain(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "100",
        "100.5",
        "100.",
        ".0",
        "007",
        "P7.0",
        "p7",
        "P7",
        "1.0.0",
        "1e3",
        "1 000.0",
        "\u0661.0",
        "",
    ],
)
def test_any_other_name_stays_as_it_is(text: str) -> None:
    assert plain(text) == text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=st.lists(st.integers(-MOST, MOST), min_size=1, max_size=20), kind=st.sampled_from(KINDS))
def test_ids_are_the_same_with_and_without_a_missing_one_in_every_format(
    tmp_path: Path, ids: list[int], kind: str
) -> None:
    whole = pd.DataFrame({"image": range(len(ids)), "id": ids})
    gap = pd.concat([whole, pd.DataFrame({"image": [len(ids)], "id": [np.nan]})])
    assert gap["id"].dtype == float
    names = [str(number) for number in ids]
    assert read_table(written(tmp_path, kind, whole)).columns["id"].tolist() == names
    read = read_table(written(tmp_path, kind, gap)).columns["id"]
    assert read.iloc[:-1].tolist() == names and pd.isna(read.iloc[-1])


@pytest.mark.parametrize("kind", KINDS)
def test_the_catalog_names_images_patients_and_lesions_alike(tmp_path: Path, kind: str) -> None:
    for name in ("7.jpg", "8.0.jpg", "9.0.png", "a.jpg"):
        (tmp_path / name).touch()
    rows = {"image": ["7.0", "8", "9.0.png", "a"], "case": ["1.0", "1", "P7", "p7"]}
    table = pd.DataFrame(rows | {"lesion": ["3.0", "3", None, "03"], "target": ["1.0", "1", "0.0", "0"]})
    source = {"name": "s", "layout": "columns", "columns": COLUMNS, "images": str(tmp_path), "ids": "global"}
    source["similar_ids"] = "different"
    catalog, _ = build_catalog(Data(sources=[source | {"table": str(written(tmp_path, kind, table))}]))
    assert catalog["image"].tolist() == ["7", "8", "9", "a"]
    assert catalog["patient"].tolist() == ["1", "1", "P7", "p7"]
    assert catalog["lesion"].fillna("none").tolist() == ["3", "3", "none", "03"]
    assert [Path(file).name for file in catalog["file"]] == ["7.jpg", "8.0.jpg", "9.0.png", "a.jpg"]


def test_a_second_table_is_joined_by_the_same_names(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("image,target\n7,1\n8,0\n")
    (tmp_path / "more.csv").write_text("image,case\n7.0,1.0\n8.0,2.0\n")
    source = {"name": "s", "layout": "columns", "columns": {k: v for k, v in COLUMNS.items() if k != "lesion"}}
    source |= {"table": str(tmp_path / "table.csv"), "metadata": str(tmp_path / "more.csv"), "images": None}
    catalog, _ = build_catalog(Data(sources=[source]))
    assert catalog["patient"].tolist() == ["s:1", "s:2"]


@pytest.mark.parametrize("word", [1, 1.0, "1", "1.0"])
@pytest.mark.parametrize("label", ["1", "1.0"])
def test_a_word_of_the_table_that_is_a_number_is_found_however_it_is_written(
    tmp_path: Path, word: object, label: str
) -> None:
    (tmp_path / "table.csv").write_text(f"image,case,lesion,target\na,1,,{label}\nb,2,,2\n")
    source = {"name": "s", "layout": "columns", "columns": COLUMNS, "table": str(tmp_path / "table.csv")}
    source |= {"images": None, "values": {"target": {word: 0, 2: 1}}}
    assert build_catalog(Data(sources=[source]))[0]["target"].tolist() == [0, 1]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_predictions_and_labels_are_found_by_the_same_names(tmp_path: Path, kind: str) -> None:
    table = pd.DataFrame({"image_name": [7.0, 8.0], "patient_id": [1.0, 2.0], "prob": [0.1, 0.2], "target": [0, 1]})
    path = written(tmp_path, kind, table)
    predictions = read_predictions(path)
    assert predictions["image"].tolist() == read_labels(path)["image"].tolist() == ["7", "8"]
    assert predictions["patient"].tolist() == ["1", "2"]


def test_predictions_made_elsewhere_are_found_by_the_same_names(tmp_path: Path) -> None:
    (tmp_path / "theirs.csv").write_text("image_name,prob\n7.0,0.1\n8.0,0.2\n")
    test = pd.DataFrame({"image": ["7", "8"], "patient": ["1", "2"], "source": "s"})
    train = test.iloc[:0].assign(fold=[], target=[])
    assert external_predictions(tmp_path / "theirs.csv", train, test, [0], False)["probability"].tolist() == [0.1, 0.2]


def test_duplicates_are_found_by_the_same_names(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("first,second\n7.0,8\na,007\n")
    assert read_pairs(tmp_path / "pairs.csv").to_numpy().tolist() == [["7", "8"], ["a", "007"]]
    (tmp_path / "pairs.csv").write_text("first,second\n")
    assert read_pairs(tmp_path / "pairs.csv").shape == (0, 2)


@pytest.mark.large
def test_two_tables_of_the_same_patients_leak_nothing(tmp_path: Path) -> None:
    """80 patients have two images in each year; one patient of the second table is missing."""
    folder = workflow.clone(tmp_path)
    (folder / "data").mkdir()
    patients = pd.Series(range(100, 180)).repeat(2).reset_index(drop=True)
    for year, letter in ((2022, "A"), (2023, "B")):
        table = pd.DataFrame({"patient": patients, "label": (patients % 4 == 0).astype(int), "sex": "male", "age": 50})
        table.insert(0, "image", [f"{letter}{number:03d}" for number in range(len(table))])
        if year == 2023:
            table = pd.concat([table, pd.DataFrame({"image": ["B160"], "label": [0], "sex": ["male"], "age": [50]})])
        table.to_csv(folder / "data" / f"{year}.csv", index=False)
    assert "B000,100.0," in (folder / "data" / "2023.csv").read_text()
    columns = {"image": "image", "patient": "patient", "sex": "sex", "age": "age", "target": "label"}
    source = {"layout": "columns", "columns": columns, "images": None, "ids": "global"}
    sources = [source | {"name": f"of_{year}", "table": f"data/{year}.csv"} for year in (2022, 2023)]
    study = {
        "study": "s",
        "data": {"sources": sources},
        "models": {"m": {"network": "logistic_regression", "inputs": ["age", "sex"]}},
    }
    study["data"]["on_bad_row"] = "drop"
    (folder / "study.yaml").write_text(json.dumps(study))
    workflow.snakemake(folder, "results/s/split/leakage.json", "--cores", 2, "--configfile", "study.yaml")
    train, test = (pd.read_parquet(folder / f"results/s/split/{part}.parquet")["patient"] for part in ("train", "test"))
    assert {*train, *test} == {str(number) for number in range(100, 180)}
    assert not set(train) & set(test)


def test_a_spreadsheet_runs_nothing_of_a_table_that_people_open():
    texts = ["=HYPERLINK(1)", "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "-1", "+2.5", "ISIC_1", "a=b", None]
    table = pd.DataFrame({"row": [1] * len(texts), "value": pd.Series(texts, dtype="str")})
    harmless = ["'" + text for text in texts[:5]] + texts[5:-1]
    assert without_formulas(table)["value"].dropna().tolist() == harmless
    assert without_formulas(table)["row"].tolist() == table["row"].tolist()
