"""The page and the JSON schema of the configuration agree with its models."""

import json

import pytest
import yaml
from jsonschema import Draft202012Validator

from configuration import configuration_page, configuration_schema
from project import ROOT


def test_the_page_and_the_schema_are_up_to_date():
    assert (ROOT / "docs" / "configuration.md").read_text() == configuration_page(), "run make docs"
    assert (ROOT / "schemas" / "config.schema.json").read_text() == configuration_schema(), "run make docs"


def test_every_row_has_values_default_and_meaning():
    rows = [line.split(" | ") for line in configuration_page().splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    for row in rows:
        assert len(row) == 4 and all(cell.strip(" |") for cell in row), row


@pytest.mark.parametrize(("epochs", "valid"), [(3, True), (0, False), ("3", False)])
def test_an_editor_can_check_a_study_by_the_schema(epochs, valid):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["models"]["cnn"]["epochs"] = epochs
    assert Draft202012Validator(json.loads(configuration_schema())).is_valid(config) == valid


def test_an_editor_knows_that_seeds_are_at_least_two():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    schema = Draft202012Validator(json.loads(configuration_schema()))
    for seeds, valid in (([1, 2], True), ([1], False)):
        config["models"]["cnn"]["seeds"] = seeds
        assert schema.is_valid(config) == valid
