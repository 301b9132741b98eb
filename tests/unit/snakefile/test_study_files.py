"""A study file is read as Snakemake reads it, and its errors name file and line."""

from pathlib import Path

import pytest
import yaml

from melanoma.common.errors import InputError
from melanoma.snakefile.study_files import read_study
from minimal_config import MINIMAL, with_


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def written(config: object, name: str = "mine.yaml") -> Path:
    Path(name).write_text(config if isinstance(config, str) else yaml.safe_dump(config))
    return Path(name)


def message(*files: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_study(files)
    return str(caught.value)


def test_a_later_file_overrules_an_earlier_one():
    study = read_study([written(MINIMAL), written({"split": {"folds": 3}}, "more.yaml")])
    assert study.study == "mine" and study.split.folds == 3


def test_a_missing_file_is_named_with_the_nearest_one():
    written(MINIMAL)
    assert message(Path("mien.yaml")).startswith("mien.yaml: no such file (is mine.yaml meant?)")


def test_a_file_that_is_no_yaml_is_named_with_its_line():
    assert message(written("study: mine\ndata: [a\nmodels: {}\n")).startswith("mine.yaml: line 3: not YAML")


def test_an_unknown_key_is_shown_as_snakemake_shows_it():
    text = message(written(with_("split.fold", 3)))
    assert "mine.yaml:" in text and "unknown key 'fold' (did you mean 'folds'?)" in text


def test_an_empty_file_is_no_study():
    assert (
        message(written(""))
        == "mine.yaml: no keys at the top level. Expected a study, with the keys study, data and models"
    )
