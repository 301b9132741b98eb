"""The data of the study: the flow of images and patients, Table 1, missing values, issues, file sizes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypedDict

import numpy as np
import pandas as pd

from melanoma.common.files import read_csv, read_json, read_parquet
from melanoma.report.tables import Cell, Column, Table

if TYPE_CHECKING:  # the report reads the findings, and need not load the split with scipy.sparse for that
    from melanoma.split.leakage import Finding

LICENSE_COLUMNS = ["source", "license", "attribution"]
SHOWN_ROWS = 200  # rows of a table of issues; the file has all of them
SHOWN_SIZES = 5
CATEGORIES = ("sex", "site", "skin_type", "source")
DESCRIBED = ("sex", "age", "site", "skin_type", "diagnosis", "lesion", "width")


class Box(NamedTuple):
    """A box of the flow diagram: its title, and lines of text. `side` boxes are those that leave the flow."""

    title: str
    lines: list[str]
    side: bool = False


class Leakage(TypedDict):
    """The result of the leakage check: leaks, doubts, the counts of each part as a table, and other counts by name."""

    findings: list[Finding]
    unit: str
    notices: list[str]
    foreign: list[str]  # sources of the test that have no training image
    parts: Table | None
    others: dict[str, int]


class Quality(TypedDict):
    """The quality of the image files: counts, the most common sizes with their counts, and the first bad files."""

    total: int
    unreadable: int
    sizes: list[tuple[str, int]]
    n_sizes: int
    bad: int
    problems: Table | None


class Share(NamedTuple):
    """A number of images, and of how many images."""

    images: int
    total: int

    def __str__(self) -> str:
        """Return the number with its percent."""
        return f"{self.images:,} ({100 * self.images / max(self.total, 1):.0f} %)"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def people(table: pd.DataFrame) -> list[str]:
    """Return the number of images, of patients and of melanomas of a table, in words."""
    lines = [counted(len(table), "image")]
    if "patient" in table and table["patient"].notna().any():
        lines.append(counted(int(table["patient"].nunique()), "patient"))
    labels = table["target"].isin([0, 1]) if "target" in table else pd.Series(dtype=bool)
    if labels.any():
        lines.append(counted(int((table["target"] == 1).sum()), "melanoma"))
        lines += [f"{(~labels).sum():,} without a label"] if not labels.all() else []
    return lines


def flow(
    catalog: pd.DataFrame, issues: pd.DataFrame, left_out: pd.DataFrame, train: pd.DataFrame, test: pd.DataFrame
) -> list[Box]:
    """Return the flow of images and patients from the tables to training and test, as CONSORT draws it."""
    dropped = issues[issues["action"] == "dropped"].drop_duplicates(["table", "row"])
    boxes = [Box("Rows of the tables", [counted(len(catalog) + len(dropped), "row")])]
    if len(dropped):
        reasons = dropped.groupby("problem").size()
        boxes.append(Box("Excluded rows", [f"{reason}: {count:,}" for reason, count in reasons.items()], side=True))
    boxes.append(Box("Images of the catalog", people(catalog)))
    if len(left_out):
        reasons = left_out.groupby("reason").size()
        boxes.append(Box("Images without a part", [f"{reason}: {count:,}" for reason, count in reasons.items()], True))
    if "role" in catalog and len(outside := catalog[catalog["role"].isin(["test", "predict"])]):
        boxes.append(Box("External sources", people(outside), side=True))
    folds = int(train.loc[train["fold"] >= 0, "fold"].nunique())
    extra = int((train["fold"] < 0).sum())
    lines = [*people(train), counted(folds, "fold")]
    boxes.append(Box("Training", [*lines, f"{extra:,} of the images are in no fold"] if extra else lines))
    boxes.append(Box("Test", people(test)))
    return boxes


def table_one(train: pd.DataFrame, test: pd.DataFrame) -> Table:
    """Return the characteristics of training and test images by class (Table 1)."""
    parts = {
        f"{part}, {name}": table[table["target"] == target]
        for part, table in (("Training", train), ("Test", test))
        if "target" in table
        for target, name in ((0, "benign"), (1, "melanoma"))
    }
    rows: list[list[Cell]] = [["Images", *(f"{len(table):,}" for table in parts.values())]]
    rows.append(["Patients", *(_patients(table) for table in parts.values())])
    if any(table["age"].notna().any() for table in parts.values() if "age" in table):
        rows.append(["Age in years, median (quartiles)", *(_quartiles(table) for table in parts.values())])
    for column in CATEGORIES:
        known = [table[column].dropna() for table in parts.values() if column in table]
        values = pd.concat(known).value_counts().index.tolist() if known else []
        for value in values[:12] if len(values) > 1 else []:
            rows.append([f"{column.replace('_', ' ').capitalize()}: {value}", *_shares(parts, column, value)])
        if len(values) > 1 and any(table[column].isna().any() for table in parts.values()):
            rows.append([f"{column.replace('_', ' ').capitalize()}: unknown", *_shares(parts, column, None)])
    keys = [name.lower().replace(", ", "_") for name in parts]
    columns = [Column("characteristic", "Characteristic"), *map(Column, keys, parts)]
    return Table(
        "table_1", "Table 1. Characteristics of the images by part and class: number (percent).", columns, rows
    )


def _patients(table: pd.DataFrame) -> str:
    known = table["patient"].dropna()
    return f"{known.nunique():,}" if len(known) else "unknown"


def _quartiles(table: pd.DataFrame) -> str:
    ages = table["age"].dropna().astype(float)
    if ages.empty:
        return "unknown"
    low, middle, high = np.percentile(ages, [25, 50, 75])
    return f"{middle:g} ({low:g} to {high:g})"


def _shares(parts: Mapping[str, pd.DataFrame], column: str, value: object) -> list[Share]:
    return [
        Share(int((table[column].isna() if value is None else table[column] == value).sum()), len(table))
        for table in parts.values()
    ]


def missing(train: pd.DataFrame, test: pd.DataFrame) -> Table:
    """Return the number of images without a value, by column."""
    rows = [
        [column.replace("width", "image size"), *(int(table[column].isna().sum()) for table in (train, test))]
        for column in DESCRIBED
        if column in train and column in test
    ]
    columns = [Column("column", "Column"), Column("training", "Training", "count"), Column("test", "Test", "count")]
    return Table("missing_values", "Images without a value.", columns, rows)


def leakage(path: Path) -> Leakage:
    """Return the result of the leakage check as tables."""
    result = read_json(path)
    parts = {name: counts for name, counts in result["checked"].items() if isinstance(counts, dict)}
    keys = list(dict.fromkeys(key for counts in parts.values() for key in counts))
    columns = [Column("part", "Part"), *(Column(key, key.replace("_", " ").capitalize(), "count") for key in keys)]
    rows = [[name.replace("_", " "), *(counts.get(key) for key in keys)] for name, counts in parts.items()]
    return {
        "findings": result["findings"],
        "unit": result["unit"],
        "notices": result["notices"],
        "foreign": sorted(set(result["sources"]["test"]) - set(result["sources"]["train"])),
        "parts": Table("parts", "Images by part of the split.", columns, rows) if rows else None,
        "others": {name: count for name, count in result["checked"].items() if name not in parts},
    }


def issue_tables(table: pd.DataFrame, identifiers: bool) -> list[Table]:
    """Count the issues of the tables by kind; with `identifiers`, also list the first of them."""
    counts = table.groupby(["source", "column", "problem", "action"], as_index=False).size()
    columns = [Column(key, key.capitalize()) for key in ("source", "column", "problem", "action")]
    tables = [Table("issues", "Issues of the tables.", [*columns, Column("rows", "Rows", "count")], _rows(counts))]
    if identifiers:
        keys = ["table", "row", "image", "column", "value", "problem", "action"]
        listed = Table(
            "issue_rows", f"The first {min(SHOWN_ROWS, len(table)):,} issues.", _texts(keys), _rows(table[keys])
        )
        tables.append(listed)
    return tables if len(table) else []


def read_issues(path: Path) -> pd.DataFrame:
    """Return the issues of the tables, all columns as text."""
    return read_csv(path, dtype=str, keep_default_na=False)


def quality(path: Path, identifiers: bool) -> Quality:
    """Count the image files and their most common sizes; with `identifiers`, list the files with a problem."""
    table = read_parquet(path)
    readable = table["readable"].astype(bool)
    bad = table[~readable | table["problem"].notna()]
    sizes = table[readable].groupby(["width", "height"]).size().sort_values(ascending=False, kind="stable")
    keys = ["image", "file", "problem"] if identifiers else ["problem"]
    rows = bad[keys] if identifiers else bad.groupby(keys, as_index=False).size().astype(str)
    return {
        "total": len(table),
        "unreadable": int((~readable).sum()),
        "sizes": [(f"{width} x {height}", int(count)) for (width, height), count in sizes.head(SHOWN_SIZES).items()],
        "n_sizes": len(sizes),
        "bad": len(bad),
        "problems": Table("image_files", "Image files with a problem.", _texts(rows), _rows(rows))
        if len(bad)
        else None,
    }


def _texts(keys: list[str] | pd.DataFrame) -> list[Column]:
    return [Column(key, {"size": "Files"}.get(key, key.capitalize())) for key in keys]


def _rows(table: pd.DataFrame) -> list[list[Cell]]:
    first = table.head(SHOWN_ROWS).astype(object)
    return [list(row) for row in first.where(first.notna(), None).itertuples(index=False)]


def license_table(catalog: Path) -> Table | None:
    """Count the images of a catalog, Parquet, by source, license and attribution; None if no table states any."""
    table = read_parquet(catalog, columns=LICENSE_COLUMNS)
    if table[LICENSE_COLUMNS[1:]].isna().all(axis=None):
        return None
    counts = table.fillna("not stated").groupby(LICENSE_COLUMNS, sort=False, as_index=False).size()
    columns = [*(Column(key, key.capitalize()) for key in LICENSE_COLUMNS), Column("images", "Images", "count")]
    return Table("licenses", "Licenses of the images, and whom they ask to name.", columns, _rows(counts))


def leaks(findings: list[Finding], identifiers: bool) -> Table | None:
    """Return the leaks; with `identifiers`, with the names of the first images."""
    columns = [Column("leak", "Leak"), Column("between", "Between"), Column("count", "Count", "count")]
    rows: list[list[Cell]] = [
        [finding["kind"].replace("_", " "), finding["boundary"], finding["count"]] for finding in findings
    ]
    if identifiers:
        columns.append(Column("images", "Images"))
        for row, finding in zip(rows, findings, strict=True):
            row.append(", ".join(finding["images"][:8]) + (", ..." if len(finding["images"]) > 8 else ""))
    return Table("leaks", "Leaks between parts or folds.", columns, rows) if rows else None
