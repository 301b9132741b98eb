"""The columns of a table are found by names of many languages, and by what they hold."""

import pandas as pd
import pytest

from foreign_tables import foreign
from melanoma.data_check.columns import find_columns, find_image_column, image_key


def columns(table: pd.DataFrame) -> dict[str, pd.Series]:
    return {name: table[name].astype("str") for name in table}


def test_the_image_column_is_the_one_whose_cells_are_names_of_files():
    files = {image_key(f"some/folder/img {n:03d}.jpeg") for n in range(60)}
    assert find_image_column(columns(foreign()), files) == ("Datei", 1.0)


def test_a_table_of_another_language():
    found = find_columns(columns(foreign()), "Datei")
    assert found.columns == {
        "image": "Datei",
        "target": "Dignität",
        "sex": "Geschlecht",
        "age": "Alter",
        "site": "Lokalisation",
        "patient": "PatID",
    }


def test_a_diagnosis_in_another_language_is_known_by_its_melanomas():
    table = foreign().assign(Histologie=["Melanom", "Nävus"] * 30).drop(columns="Dignität")
    assert find_columns(columns(table), "Datei").columns["diagnosis"] == "Histologie"


def test_two_columns_that_could_be_the_patient_are_both_named():
    table = foreign().assign(case_id=[f"C{n}" for n in range(60)])
    assert find_columns(columns(table), "Datei").notes["patient"] == "or case_id"


TRAPS = {
    "a hospital is no site": ("site", ["Vienna", "Graz"], "site"),
    "a history of melanoma is no target": ("melanoma_history", ["0", "1"], "target"),
    "a biopsy is no target": ("biopsied", ["0", "1"], "target"),
    "the diameter of a lesion is no lesion": ("lesion_size", ["3", "4"], "lesion"),
    "a stage is no age": ("stage", ["1", "2"], "age"),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_a_name_that_only_looks_right(trap):
    name, cells, ours = TRAPS[trap]
    table = pd.DataFrame({"file": [f"a{n}" for n in range(20)], name: cells * 10}, dtype="str")
    assert ours not in find_columns(columns(table), "file").columns


def test_a_number_that_starts_again_for_each_patient_is_no_lesion():
    table = foreign().assign(lesion=["1", "2"] * 30)
    found = find_columns(columns(table), "Datei")
    assert "lesion" not in found.columns and found.columns["patient"] == "PatID"
    assert found.notes["patient"] == "several patients have the same lesion, so it is no lesion"


def test_a_column_that_says_malignant_has_a_question():
    table = pd.DataFrame({"file": [f"a{n}" for n in range(20)], "malignant": ["0", "1"] * 10})
    found = find_columns(columns(table), "file")
    assert found.columns["target"] == "malignant" and "carcinoma" in found.notes["target"]
