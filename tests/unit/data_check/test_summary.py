"""The page has the counts, the expected precision, the problems and a verdict, in lines of 100 columns."""

from pathlib import Path

import pandas as pd

from melanoma.config.study import resolve
from melanoma.data_check.check import Findings
from melanoma.data_check.summary import WIDTH, page
from minimal_config import MINIMAL

ISSUES = pd.DataFrame(
    {
        "source": ["a", "a"],
        "table": "a.csv",
        "row": [None, 7],
        "image": [None, "x7"],
        "column": ["gender", "age"],
        "value": ["M", "500"],
        "problem": ["read as 'male' (4 rows)", "expected years from 0 to 120"],
        "action": ["normalized", "dropped"],
    }
)
CATALOG = pd.DataFrame(
    {
        "image": list("abcdefgh"),
        "patient": list("ppqqrrss"),
        "lesion": pd.Series([None] * 8, dtype="str"),
        "sex": ["male", "female"] * 3 + [None] * 2,
        "age": [20.0, 30, 40, 50, 69, 70, 90, None],
        "site": ["torso"] * 8,
        "diagnosis": pd.Series([None] * 8, dtype="str"),
        "target": [1, 0, 0, 0, 0, 0, 0, 1],
        "source": "a",
        "role": "study",
    }
)


def shown(findings: Findings, mends: tuple[str, ...] = ()) -> str:
    text = page(resolve(MINIMAL), findings, mends)
    assert all(len(line) <= WIDTH for line in text.splitlines())
    return text


def test_counts_of_classes_sexes_ages_sites_and_patients():
    text = shown(Findings(CATALOG, ISSUES))
    assert "melanoma 2 (25.0%), other 6 (75.0%)" in text
    assert "sex        male 3 (37.5%), female 3 (37.5%), missing 2 (25.0%)" in text
    assert "age        0-29 1 (12.5%), 30-49 2 (25.0%), 50-69 2 (25.0%), 70+ 2 (25.0%), missing 1 (12.5%)" in text
    assert "patients   4, with 2.0 images on average and at most 2; 2 have a melanoma" in text
    assert text.endswith("Study mine can run.")


def test_what_was_read_as_another_word_and_what_is_left_out():
    text = shown(Findings(CATALOG, ISSUES))
    assert "- a: gender: 'M' read as 'male' (4 rows)" in text
    assert "- a.csv: age: expected years from 0 to 120 (1)" in text


def test_the_precision_of_the_test_set_is_there_before_the_run():
    text = shown(Findings(CATALOG, ISSUES, test=CATALOG))
    assert "The test set would have 8 images of 4 patients: 2 melanomas of 2 patients." in text
    assert "0.9 ± 0." in text and "This is too wide to compare models." in text


def test_problems_and_their_cure_end_with_cannot_run():
    fault = "a.csv: sex: expected male, female or nothing (1 row)\n  - line 2, image x: 'm'"
    text = shown(Findings(CATALOG, ISSUES, [fault, f"{Path('b.csv')}: " + "long " * 60]), ("data:", "  sources:"))
    assert "    - line 2, image x: 'm'" in text and "  data:\n    sources:" in text
    assert text.endswith("Study mine cannot run.")


def test_a_study_whose_data_come_later_says_so():
    assert "source a: x will be downloaded" in shown(
        Findings(None, pd.DataFrame(), pending=["source a: x will be downloaded"])
    )
