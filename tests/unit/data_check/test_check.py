"""All problems of all sources are shown at once, with the counts of what can be used."""

from pathlib import Path
from typing import Any

import pytest

import check_data
from foreign_tables import kaggle, write
from in_process import call
from melanoma.config.study import resolve
from melanoma.data_check.check import check_study
from minimal_config import with_

MODELS = {"m": {"network": "logistic_regression"}}


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def source(name: str, **columns: Any) -> dict[str, Any]:
    """Write a good table of layout kaggle, with changed columns, and return its source."""
    table = kaggle().assign(image_name=lambda rows: name + rows["image_name"], **columns)
    return {"name": name, "table": write(table, Path(f"{name}.csv")), "images": None}


def study(*sources: dict[str, Any], **more: Any):
    return resolve(with_("data.sources", list(sources)) | {"models": MODELS} | more)


def test_a_good_study_has_no_fault_and_its_test_set_is_known():
    findings = check_study(study(source("a")))
    assert not findings.faults and not findings.pending
    assert len(findings.catalog) == 60 and set(findings.test["target"]) == {0, 1} and 10 <= len(findings.test) <= 14


def test_a_fault_of_one_source_hides_none_of_the_others():
    missing = {"name": "b", "table": "b.csv", "images": None}
    findings = check_study(study(source("a"), missing, source("c", sex="x")))
    text = "\n".join(findings.faults)
    assert "source b: b.csv: no such table" in text and "c.csv: sex: expected male, female" in text
    assert set(findings.catalog["source"]) == {"a"}


def test_a_metadata_model_whose_inputs_are_all_missing_stops():
    empty = source("a", sex="", age_approx="", anatom_site_general_challenge="")
    assert "models.m: no image has age, sex, site" in check_study(study(empty)).faults[0]
    partly = check_study(study(source("b", age_approx="")))
    assert not partly.faults and "models.m: no image has age" in partly.warnings[0]


def test_a_split_that_is_not_possible_stops():
    findings = check_study(study(source("a"), split={"folds": 40}))
    assert "split: " in findings.faults[0] and "Use fewer folds" in findings.faults[0]


def test_what_is_drawn_or_downloaded_later_is_no_fault():
    later = {"name": "b", "table": "data/b.csv", "images": None}
    findings = check_study(study(source("a"), later, fetch={"data/b.csv": {"url": "https://example.org/b.csv"}}))
    assert findings.pending == ["source b: data/b.csv will be downloaded"] and not findings.faults
    assert set(findings.catalog["source"]) == {"a"} and findings.test is None


def test_the_exit_status_says_whether_the_study_can_run(capsys):
    Path("mine.yaml").write_text(study(source("a", sex="x")).model_dump_json(exclude_unset=True))
    with pytest.raises(SystemExit) as caught:
        call(check_data, "--configfile", "mine.yaml")
    page = capsys.readouterr().out
    assert caught.value.code == 1 and "Study mine cannot run." in page and "line 2, image aIMG 000: 'x'" in page
