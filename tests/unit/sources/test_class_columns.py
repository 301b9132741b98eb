"""Tables with one column for each class."""

import pandas as pd
import pytest

from melanoma.sources.class_columns import decode

CLASSES = {"Common Nevus": "nevus", "Melanoma": "melanoma"}


@pytest.mark.parametrize(
    ("nevus", "melanoma"), [("1", "0"), ("1.0", "0.0"), ("True", "False"), ("X", None), ("x", None)]
)
def test_the_class_is_the_column_with_a_one_or_an_x(nevus: str, melanoma: str | None) -> None:
    columns = {"Common Nevus": pd.Series([nevus, melanoma]), "Melanoma": pd.Series([melanoma, nevus])}
    decoded = decode(columns, CLASSES)
    assert decoded["diagnosis"].tolist() == ["nevus", "melanoma"] and not decoded["one_hot_fault"].any()


@pytest.mark.parametrize(
    ("cells", "shown"),
    [
        (("1", "1"), "Common Nevus=1, Melanoma=1"),
        (("0", "0"), "all 0"),
        ((None, "1"), "Common Nevus=, Melanoma=1"),
        (("1", "yes"), "Common Nevus=1, Melanoma=yes"),
    ],
)
def test_a_row_in_no_or_two_classes_is_shown(cells: tuple[str | None, str], shown: str) -> None:
    columns = {name: pd.Series([cell], dtype="str") for name, cell in zip(CLASSES, cells, strict=True)}
    decoded = decode(columns, CLASSES)
    assert decoded["one_hot_fault"].tolist() == [True] and decoded["one_hot"].tolist() == [shown]
    assert decoded["diagnosis"].isna().all()
