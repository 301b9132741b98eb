"""The page that documents the configuration says what the schema says."""

from melanoma.config.docs import configuration_page
from melanoma.config.study import load_schema
from project import ROOT


def test_the_page_in_docs_is_the_schemas():
    assert (ROOT / "docs" / "configuration.md").read_text() == configuration_page(load_schema()), "run make docs"


def test_every_row_has_values_default_and_meaning():
    rows = [line.split(" | ") for line in configuration_page(load_schema()).splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    for row in rows:
        assert len(row) == 4 and all(cell.strip(" |") for cell in row), row
