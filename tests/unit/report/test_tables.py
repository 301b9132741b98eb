"""A table has the same content in HTML, CSV and LaTeX."""

import csv
import io
from math import nan

import pytest

from melanoma.report.tables import Column, Table, as_csv, as_latex, decimals, show

AREA = {"value": 0.98765, "low": 0.9, "high": 1.0}
TABLE = Table(
    "areas",
    "AUROC, 95 % confidence interval",
    [Column("model", "Model"), Column("auroc", "AUROC", "number", 2), Column("n", "Images", "count")],
    [["a_b", AREA, 1234], ["c", {"value": None, "low": None, "high": None}, 5]],
    bars="auroc",
)


def test_csv_has_all_digits_and_the_bounds_in_columns_of_their_own():
    rows = list(csv.DictReader(io.StringIO(as_csv(TABLE))))
    assert rows[0] == {"model": "a_b", "auroc": "0.98765", "auroc_low": "0.9", "auroc_high": "1.0", "n": "1234"}
    assert rows[1]["auroc"] == "" == rows[1]["auroc_low"]


def test_latex_has_the_digits_of_the_page_and_escapes():
    text = as_latex(TABLE)
    assert r"a\_b & 0.99 [0.90, 1.00] & 1,234 \\" in text and r"95 \% confidence" in text
    assert text.startswith("\\begin{table}") and "\\label{tab:areas}" in text


@pytest.mark.parametrize(
    ("cell", "column", "text"),
    [
        (0.00001, Column("p", "p", "p"), "< 0.0001"),
        (0.0123, Column("p", "p", "p"), "0.0123"),
        (0.5, Column("d", "d", "signed", 2), "+0.50"),
        (0.00012345, Column("t", "t", "short"), "0.0001234"),
        (nan, Column("x", "x", "number"), ""),
        (None, Column("x", "x"), ""),
    ],
)
def test_a_number_has_the_form_of_its_column(cell, column, text):
    assert show(cell, column).value == text


def test_a_bar_is_placed_on_the_axis_and_stays_on_it():
    assert TABLE.bar(TABLE.rows[0]) == {"low": 80.0, "value": 97.53, "high": 100.0}
    assert TABLE.bar(TABLE.rows[1]) is None and TABLE.bar(["e", "too few", 1]) is None
    low = {"value": 0.6, "low": 0.2, "high": 0.7}
    assert TABLE.bar(["d", low, 1]) == {"low": 0.0, "value": 20.0, "high": 40.0}


def test_a_small_test_set_has_two_decimals():
    assert (decimals(99), decimals(100)) == (2, 3)
