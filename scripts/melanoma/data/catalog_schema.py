"""The declared schemas of the catalog, with the types and limits of its columns, and of its issues."""

from collections.abc import Iterable
from typing import TypedDict

import numpy as np
import pandas as pd
import pandera.pandas as pa

from melanoma.config.data import EXTERNAL_ROLES, SUBGROUP
from melanoma.data.units import UNITS

UNLABELED = -1  # target of the images of a source of role predict
EMPTY = "is empty; fill it in or remove the row"
SIDE = pa.Check.in_range(1, 100_000, error="expected a number of pixels; correct it or leave it empty")
SCHEMA = pa.DataFrameSchema(
    {
        "image": pa.Column(str),
        "patient": pa.Column(str),
        "lesion": pa.Column(str, nullable=True),
        "sex": pa.Column(str, nullable=True),
        "age": pa.Column(
            float,
            pa.Check.in_range(0, 120, error="expected years from 0 to 120; correct it or leave it empty"),
            nullable=True,
        ),
        "site": pa.Column(str, nullable=True),
        "diagnosis": pa.Column(str, nullable=True),
        "target": pa.Column(
            np.int8,
            pa.Check.isin([UNLABELED, 0, 1]),  # `catalog` allows UNLABELED in a source of role predict only
        ),
        "source": pa.Column(str),
        "role": pa.Column(str, pa.Check.isin(["study", "extra_train", *EXTERNAL_ROLES])),
        "file": pa.Column(str, nullable=True),
        "width": pa.Column(float, SIDE, nullable=True),
        "height": pa.Column(float, SIDE, nullable=True),
        "unit": pa.Column(str, pa.Check.isin(UNITS)),  # what the column patient names
        "skin_type": pa.Column(str, nullable=True),
        "confirmation": pa.Column(str, nullable=True),
        "license": pa.Column(str, nullable=True),
        "attribution": pa.Column(str, nullable=True),
    },
    strict=True,
    ordered=True,
)


def with_subgroups(columns: Iterable[str]) -> pa.DataFrameSchema:
    """Return SCHEMA with those of the columns that are declared subgroups, which come last."""
    return SCHEMA.add_columns({name: pa.Column(str, nullable=True) for name in columns if name.startswith(SUBGROUP)})


class Issue(TypedDict):
    """A row of issues.csv. An issue of whole sources has no row and no image."""

    source: str
    table: str
    row: int | None
    image: str | None
    column: str
    value: str | None
    problem: str
    action: str


ISSUE_COLUMNS = list(Issue.__annotations__)


def against_schema(typed: pd.DataFrame) -> pd.DataFrame:
    """Return the cells of a typed catalog that break the schema: index, column, problem."""
    try:
        with_subgroups(typed.columns).validate(typed, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases.astype({"index": int})
        return cases.assign(problem=cases["check"].replace("not_nullable", EMPTY))[["index", "column", "problem"]]
    return pd.DataFrame({"index": np.zeros(0, int), "column": "", "problem": ""})


def row_count(count: int) -> str:
    """Return a number of rows in words, as in "1 row"."""
    return f"{count} row" if count == 1 else f"{count} rows"
