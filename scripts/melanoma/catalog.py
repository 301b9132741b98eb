"""The catalog: all sources' tables as one, each row checked, each finding with its place and its remedy."""

import csv
import difflib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa

from melanoma.command import log
from melanoma.errors import InputError, listing

MISSING = {"", "NA", "N/A", "NaN", "nan", "null", "None"}
IMAGE_SUFFIXES = (".jpg", ".jpeg")

SCHEMA = pa.DataFrameSchema(
    {
        "image": pa.Column(str, unique=True, report_duplicates="exclude_first"),
        "patient": pa.Column(str),
        "lesion": pa.Column(str, nullable=True),
        "sex": pa.Column(
            str,
            pa.Check.isin(["male", "female"], error="expected male, female or nothing; correct it or leave it empty"),
            nullable=True,
        ),
        "age": pa.Column(
            float,
            pa.Check.in_range(0, 120, error="expected years from 0 to 120; correct it or leave it empty"),
            nullable=True,
        ),
        "site": pa.Column(str, nullable=True),
        "diagnosis": pa.Column(str, nullable=True),
        "target": pa.Column(
            np.int8,
            pa.Check.isin([0, 1], error="expected 0 (benign) or 1 (melanoma); correct it or remove the row"),
        ),
        "source": pa.Column(str),
        "file": pa.Column(str, nullable=True),
    },
    strict=True,
    ordered=True,
)
PANDERA_WORDS = {
    "not_nullable": "is empty; fill it in or remove the row",
    "field_uniqueness": "this image is in an earlier row already; remove one of the two",
}


@dataclass(frozen=True)
class Layout:
    """How a kind of table is laid out: its column for each of ours, and which of ours it may lack."""

    columns: dict[str, str]
    optional: frozenset[str]


LAYOUTS = {
    "kaggle": Layout(
        columns={
            "image": "image_name",
            "patient": "patient_id",
            "lesion": "lesion_id",
            "sex": "sex",
            "age": "age_approx",
            "site": "anatom_site_general_challenge",
            "diagnosis": "diagnosis",
            "behaviour": "benign_malignant",
            "target": "target",
        },
        optional=frozenset({"lesion", "diagnosis", "behaviour"}),
    )
}


def build_catalog(settings: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read and check all sources; return the catalog and the problems of the rows that were dropped.

    The catalog has one row per image, in table order, with the columns and types of SCHEMA. `settings` holds
    `sources` (each with name, layout, table, images) and `on_bad_row` (fail or drop).
    Raises InputError that lists all findings at once: always where a source cannot be used as a whole, and
    with on_bad_row: fail where a single row is wrong.
    """
    tables: list[pd.DataFrame] = []
    faults: list[str] = []
    for source in settings["sources"]:
        with _noting(faults):
            tables.append(read_source(source))
    if not tables:
        raise InputError("\n".join(faults))
    cells = pd.concat(tables, ignore_index=True)
    problems = find_problems(cells)
    if len(problems) and (faults or settings["on_bad_row"] == "fail"):
        faults.append(
            f"{_rows(problems.index.nunique())} cannot be used:\n{describe(problems)}\n"
            "Correct them, or set on_bad_row: drop to leave these rows out and list them in problems.csv."
        )
    good = cells[~cells.index.isin(problems.index)]
    faults += _one_class_sources(cells["source"].unique(), good)
    if faults:
        raise InputError("\n".join(faults))
    catalog = SCHEMA.validate(canonical(good).reset_index(drop=True))
    _log_summary(catalog, problems)
    return catalog, problems.assign(action="dropped").reset_index(drop=True)


def read_source(source: dict[str, Any]) -> pd.DataFrame:
    """Read a source's table and list its folder; every cell a stripped text, None where missing.

    Columns: ours, behaviour (the table's benign_malignant), source, table, row (line in the file), layout,
    folder, file (None where the folder has no such image), fields (None, or what is wrong with the row's
    length). Raises InputError that says all that makes the source unusable.
    """
    layout, table, folder = LAYOUTS[source["layout"]], Path(source["table"]), Path(source["images"])
    faults: list[str] = []
    with _noting(faults):
        cells = read_table(table, layout)
    with _noting(faults):
        files = list_images(folder)
    if faults:
        raise InputError("\n".join(f"source {source['name']}: {fault}" for fault in faults))
    place = {"source": source["name"], "table": str(table), "layout": source["layout"], "folder": str(folder)}
    return cells.assign(**place, file=cells["image"].map(files).astype("str"))


def read_table(path: Path, layout: Layout) -> pd.DataFrame:
    """Read a CSV table into our columns, a text or None in each cell, with row and fields of read_source."""
    header, rows = _read_csv(path)
    _check_header(path, header, layout)
    if not rows:
        raise InputError(f"{path}: the table is empty: it has a header and no row. Give the complete table")
    width = len(header)
    faults = [None if len(row) == width else f"{len(row)} fields, expected {width} as in the header" for _, row in rows]
    padded = [(row + [""] * width)[:width] for _, row in rows]
    columns = dict(zip(header, zip(*padded, strict=True), strict=True))
    empty = ("",) * len(rows)
    cells = {ours: _texts(columns.get(theirs, empty)) for ours, theirs in layout.columns.items()}
    return pd.DataFrame(cells | {"row": [line for line, _ in rows], "fields": pd.Series(faults, dtype="str")})


def list_images(folder: Path) -> dict[str, str]:
    """Map each JPEG's name without its suffix to its path, from one listing of the folder."""
    try:
        with os.scandir(folder) as entries:
            names = sorted((entry.name for entry in entries), reverse=True)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(
            f"{folder}: no such folder of images. Correct its path in the configuration, or fetch the images"
        ) from error
    except OSError as error:
        raise InputError(f"{folder}: the folder of images cannot be listed: {error.strerror}") from error
    # Not pathlib: a Path for each of 400,000 names takes seconds.
    split = (os.path.splitext(name) for name in names)  # noqa: PTH122
    return {stem: f"{folder}/{stem}{suffix}" for stem, suffix in split if suffix.lower() in IMAGE_SUFFIXES}


def canonical(cells: pd.DataFrame) -> pd.DataFrame:
    """Return `cells` in the columns and types of SCHEMA.

    An age that is no number becomes infinite, a target that is not 0 or 1 becomes -1, so that the schema
    rejects them: taken for missing they would slip through.
    """
    age = pd.to_numeric(cells["age"], errors="coerce").astype(float)
    target = pd.to_numeric(cells["target"], errors="coerce")
    return cells.assign(
        age=age.mask(age.isna() & cells["age"].notna(), np.inf),
        target=target.where(target.isin([0, 1]), -1).astype(np.int8),
    )[list(SCHEMA.columns)]


def find_problems(cells: pd.DataFrame) -> pd.DataFrame:
    """Check every row; return one row per wrong cell, indexed as `cells`.

    Columns: source, table, row (line in the file), image, column (the table's name for it), value, problem.
    """
    typed = canonical(cells)
    rules = [
        pd.DataFrame({"index": cells.index[broken], "column": column, "problem": problem})
        for broken, column, problem in _rules(cells, typed)
    ]
    found = pd.concat([_against_schema(typed), *rules]).drop_duplicates(["index", "column"])
    found = found.sort_values("index", kind="stable").set_index("index")
    rows = cells.loc[found.index]
    values = cells.to_numpy(object)[found.index, cells.columns.get_indexer(found["column"])]
    names = [LAYOUTS[layout].columns.get(c, c) for layout, c in zip(rows["layout"], found["column"], strict=True)]
    return rows[["source", "table", "row", "image"]].assign(
        column=names, value=pd.Series(values, index=found.index, dtype="str"), problem=found["problem"]
    )


def describe(problems: pd.DataFrame) -> str:
    """Say all problems, those of a kind together, each with its table, column, line, image and value."""
    kinds = []
    for (table, column, problem), rows in problems.groupby(["table", "column", "problem"], sort=False):
        shown = [
            f"line {row.row}, image {row.image}" + (f": {row.value!r}" if pd.notna(row.value) else "")
            for row in rows.itertuples()
        ]
        kinds.append(f"{table}: {column}: {problem} ({_rows(len(rows))})\n{listing(shown, limit=5)}")
    return "\n".join(kinds)


def _read_csv(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header and the rows that are not blank, each with its line number."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            rows = [(reader.line_num, row) for row in reader if any(row)]
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such table. Correct its path in the configuration or fetch it") from error
    except OSError as error:
        raise InputError(f"{path}: the table cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a CSV table in UTF-8 ({error}). Save it as CSV in UTF-8") from error
    except csv.Error as error:
        where = f"{path}: line {reader.line_num}"
        raise InputError(f"{where} is not valid CSV: {error}. Save the table as CSV") from error
    return header, rows


def _check_header(path: Path, header: list[str], layout: Layout) -> None:
    if not any(header):
        raise InputError(f"{path}: the table is empty. Give the complete table")
    faults = [f"column {name} is there twice" for name in sorted(set(header)) if header.count(name) > 1]
    for ours, theirs in layout.columns.items():
        if theirs not in header and ours not in layout.optional:
            nearest = difflib.get_close_matches(theirs, header, n=1)
            faults.append(f"no column {theirs}" + (f" (is {nearest[0]} meant?)" if nearest else ""))
    if faults:
        hint = ". Columns must be separated by commas" if len(header) == 1 else ""
        raise InputError(
            f"{path}: {'; '.join(faults)}. The columns there are: {', '.join(header)}{hint}. "
            "Rename or add them, or give the layout of this table"
        )


def _texts(cells: tuple[str, ...]) -> pd.Series:
    stripped = [cell.strip() for cell in cells]
    return pd.Series([None if cell in MISSING else cell for cell in stripped], dtype="str")


def _against_schema(typed: pd.DataFrame) -> pd.DataFrame:
    try:
        SCHEMA.validate(typed, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases.astype({"index": int})
        return cases.assign(problem=cases["check"].replace(PANDERA_WORDS))[["index", "column", "problem"]]
    return pd.DataFrame({"index": np.zeros(0, int), "column": "", "problem": ""})


def _rules(cells: pd.DataFrame, typed: pd.DataFrame) -> Iterator[tuple[pd.Series, str, str]]:
    """Yield what the schema cannot say, each rule as the rows that break it, the column and the problem."""
    yield (
        cells["fields"].notna(),
        "fields",
        "wrong number of fields; add the missing comma, or quote the text with one",
    )
    for folder in cells["folder"].unique():
        lacking = (cells["folder"] == folder) & cells["file"].isna() & cells["image"].notna()
        remedy = "fetch the images, correct the folder, or remove the rows"
        yield lacking, "image", f"no such .jpg or .jpeg in {folder}; {remedy}"
    behaviour = cells["behaviour"].str.lower().map({"benign": 0, "malignant": 1})
    against = behaviour.notna() & (typed["target"] >= 0) & (behaviour != typed["target"])
    yield against, "behaviour", "contradicts the target of the row; correct the one that is wrong"
    melanoma = (cells["diagnosis"].str.lower() == "melanoma") & (typed["target"] == 0)
    yield melanoma, "diagnosis", "contradicts target 0; correct the one that is wrong"


@contextmanager
def _noting(faults: list[str]) -> Iterator[None]:
    """Note an InputError and go on, so that all faults are told at once."""
    try:
        yield
    except InputError as error:
        faults.append(str(error))


def _one_class_sources(names: Any, good: pd.DataFrame) -> Iterator[str]:
    targets = canonical(good).groupby("source")["target"]
    melanomas, images = targets.sum(), targets.size()
    for name in names:
        n, m = int(images.get(name, 0)), int(melanomas.get(name, 0))
        if n == 0 or m in (0, n):
            yield (
                f"source {name}: {m} melanomas among {n} usable images, expected both classes. "
                "Give the complete table, or join it with that of another source"
            )


def _log_summary(catalog: pd.DataFrame, problems: pd.DataFrame) -> None:
    for name, rows in catalog.groupby("source", sort=False):
        counts = len(rows), rows["target"].sum(), rows["patient"].nunique()
        log.info("%s: %d images, %d melanomas, %d patients", name, *counts)
    if len(problems):
        log.warning("%s dropped:\n%s", _rows(problems.index.nunique()), describe(problems))


def _rows(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} rows"
