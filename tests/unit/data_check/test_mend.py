"""The lines of YAML that are shown mend the problems when they are followed."""

from pathlib import Path

import pytest
import yaml

from foreign_tables import foreign, write
from melanoma.config.study import resolve
from melanoma.data_check.check import check_study
from melanoma.data_check.mend import mends
from minimal_config import with_

MODELS = {"m": {"network": "logistic_regression"}}


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def config(**source: object) -> dict:
    return with_("data.sources", [{"name": "a", "images": None, **source}]) | {"models": MODELS}


def lines(given: dict) -> str:
    study = resolve(given)
    findings = check_study(study)
    assert findings.faults
    return "\n".join(mends(study, findings))


def test_columns_of_other_names_and_words():
    given = config(table=write(foreign().rename(columns={"Datei": "file"})))
    mended = given | yaml.safe_load(lines(given))
    assert not check_study(resolve(mended)).faults
    assert mended["data"]["sources"][0]["columns"]["sex"] == "Geschlecht"


def test_bad_rows_are_dropped():
    table = foreign().assign(Alter=lambda rows: rows["Alter"].mask(rows.index == 5, "500"))
    names = {"image": "Datei", "target": "Dignität", "age": "Alter", "sex": "Geschlecht", "site": "Lokalisation"}
    values = {"target": {"malignant": 1, "benign": 0}, "sex": {"w": "female", "m": "male"}}
    given = config(table=write(table), layout="columns", columns=names, values=values)
    mended = given | {"data": given["data"] | yaml.safe_load(lines(given))["data"]}
    assert mended["data"]["on_bad_row"] == "drop" and not check_study(resolve(mended)).faults


def test_the_nearest_path_of_one_that_does_not_exist():
    write(foreign(), Path("clinic.csv"))
    assert lines(config(table="clinics.csv")) == "# source a: clinics.csv does not exist (is clinic.csv meant?)"
