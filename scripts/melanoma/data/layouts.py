"""Reads the tables of a source, of any layout, into the same columns of texts."""

import difflib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from melanoma.common.errors import InputError
from melanoma.config.data import Source
from melanoma.data.identifiers import as_known, image_name, image_names, plain
from melanoma.data.tables import Table, read_table

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
COLUMNS = (
    "image",
    "patient",
    "lesion",
    "sex",
    "age",
    "site",
    "diagnosis",
    "benign_malignant",
    "target",
    "width",
    "height",
)
ONE_HOT = {
    "MEL": "melanoma",
    "NV": "nevus",
    "BCC": "basal cell carcinoma",
    "AK": "actinic keratosis",
    "AKIEC": "actinic keratosis",
    "BKL": "benign keratosis",
    "DF": "dermatofibroma",
    "VASC": "vascular lesion",
    "SCC": "squamous cell carcinoma",
    "UNK": "unknown",
}
ONE_HOT_2017 = {"melanoma": "melanoma", "seborrheic_keratosis": "seborrheic keratosis"}  # a nevus has 0 in both

# For each of our columns, what the words of a table mean.
Values = dict[str, dict[Any, str | float | None]]


@dataclass(frozen=True)
class Layout:
    """A kind of table: the possible names of each of our columns, and which of our columns are required."""

    columns: dict[str, tuple[str, ...]]
    required: frozenset[str]
    one_hot: bool = False


LAYOUTS = {
    "kaggle": Layout(
        columns={
            "image": ("image_name",),
            "patient": ("patient_id",),
            "lesion": ("lesion_id",),
            "sex": ("sex",),
            "age": ("age_approx",),
            "site": ("anatom_site_general_challenge",),
            "diagnosis": ("diagnosis",),
            "benign_malignant": ("benign_malignant",),
            "target": ("target",),
            "width": ("width",),
            "height": ("height",),
        },
        required=frozenset({"image", "patient", "sex", "age", "site", "target"}),
    ),
    "isic": Layout(
        columns={
            "image": ("isic_id", "image_name", "image_id", "image"),
            "patient": ("patient_id",),
            "lesion": ("lesion_id",),
            "sex": ("sex",),
            "age": ("age_approx", "age_approximate"),
            "site": ("anatom_site_general_challenge", "anatom_site_general"),
            "diagnosis": ("diagnosis", "diagnosis_3"),
            "benign_malignant": ("benign_malignant",),
            "target": ("target",),
        },
        required=frozenset({"image"}),
        one_hot=True,
    ),
    "ham10000": Layout(
        columns={
            "image": ("image_id",),
            "lesion": ("lesion_id",),
            "sex": ("sex",),
            "age": ("age",),
            "site": ("localization",),
            "diagnosis": ("dx",),
        },
        required=frozenset({"image", "lesion", "sex", "age", "site", "diagnosis"}),
    ),
}


@dataclass(frozen=True)
class Place:
    """The table that has one of our columns, and the name of the column there."""

    table: str
    column: str
    metadata: bool = False


@dataclass(frozen=True)
class SourceTable:
    """A source: `cells` has COLUMNS as texts, and row, metadata_row, fields, one_hot_fault, twice and file.

    row and metadata_row: the numbers of the row in the two tables, metadata_row -1 if the metadata lacks the image.
    fields: what is wrong with the length of the row. one_hot_fault: the row is not in exactly one class. twice: the
    metadata has the image twice. file: the path of the image, None if there is none. `folders` is None for a source of
    tables alone.
    """

    name: str
    role: str
    folders: str | None
    metadata: str | None
    cells: pd.DataFrame
    places: dict[str, Place]
    patient_required: bool
    suffixes: int  # number of image names with a suffix such as .jpg


def read_source(source: Source) -> SourceTable:
    """Read the tables of a source and list its folders; raise InputError with all errors that make it unusable."""
    layout = _layout(source)
    folders = (source.images,) if isinstance(source.images, str) else source.images or ()
    faults: list[str] = []
    tables: list[Table] = []
    files: dict[str, str] = {}
    for path in filter(None, [source.table, source.metadata]):
        with noting(faults):
            tables.append(read_table(Path(path)))
    for folder in reversed(folders):
        with noting(faults):
            files |= list_images(Path(folder))
    if not faults:
        with noting(faults):
            _check_columns(tables, layout)
    if faults:
        raise InputError("\n".join(f"source {source.name}: {fault}" for fault in faults))
    cells, places = _cells(tables, layout)
    values: Values = {str(column): words for column, words in (source.values or {}).items()}
    for column, words in values.items():
        cells[column] = _replaced(cells[column], words)
    given = cells["image"]
    cells["image"] = image_names(given)
    if len(tables) == 2:
        cells = _joined(cells, tables[1], layout, places, values, source.similar_ids)
    return SourceTable(
        name=source.name,
        role=source.role,
        folders=", ".join(folders) or None,
        metadata=source.metadata,
        cells=cells.assign(file=cells["image"].map(files).astype("str")),
        places=places,
        patient_required="patient" in layout.required,
        suffixes=int((given != cells["image"]).fillna(False).sum()),
    )


def list_images(folder: Path) -> dict[str, str]:
    """List a folder; return the path of each image by its name without the suffix."""
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
    return {image_name(stem): f"{folder}/{stem}{suffix}" for stem, suffix in split if suffix.lower() in IMAGE_SUFFIXES}


@contextmanager
def noting(faults: list[str]) -> Iterator[None]:
    """Append an InputError to `faults` and continue, so that all errors are reported together."""
    try:
        yield
    except InputError as error:
        faults.append(str(error))


def _layout(source: Source) -> Layout:
    if source.layout != "columns":
        return LAYOUTS[source.layout]
    columns = source.columns.model_dump(exclude_none=True) if source.columns else {}
    if not {"target", "diagnosis"} & set(columns):
        raise InputError(
            f"source {source.name}: layout columns needs `columns` with the table's name of target or diagnosis, as in "
            "columns: {image: file, target: label}"
        )
    return Layout({ours: (theirs,) for ours, theirs in columns.items()}, frozenset(columns))


def _check_columns(tables: list[Table], layout: Layout) -> None:
    """Raise InputError if the tables lack required columns, or if one of them has no image column."""
    faults = []
    present = [name for table in tables for name in table.columns]
    for ours in layout.columns:
        names = layout.columns[ours]
        if ours in layout.required and not set(names) & set(present):
            faults.append(f"no column {_or(names)}{_hint(names[0], present)}")
    labels = {"target", "diagnosis"} & {ours for ours, names in layout.columns.items() if set(names) & set(present)}
    if not labels and not _one_hot(tables[0], layout):
        faults.append("no column target or diagnosis, and no classes (MEL, NV, BCC, ...)")
    for table in tables:
        if not faults and not set(layout.columns["image"]) & set(table.columns):
            faults.append(f"no column {_or(layout.columns['image'])} in {table.path}")
    if faults:
        paths = " and ".join(str(table.path) for table in tables)
        raise InputError(
            f"{paths}: {'; '.join(faults)}. The columns are: {', '.join(present)}. "
            "Rename or add columns, or give the layout of this table"
        )


def _cells(tables: list[Table], layout: Layout) -> tuple[pd.DataFrame, dict[str, Place]]:
    """Return the cells of the first table in our columns, empty if it lacks one, and the places of all columns."""
    table = tables[0]
    places: dict[str, Place] = {}
    for ours, names in layout.columns.items():
        for number, candidate in enumerate(tables):
            present = [name for name in names if name in candidate.columns]
            if present and ours not in places:
                places[ours] = Place(str(candidate.path), present[0], metadata=number == 1)
    empty = pd.Series([None] * len(table.rows), dtype="str")
    here = {ours: place.column for ours, place in places.items() if not place.metadata}
    cells = pd.DataFrame({ours: table.columns[here[ours]] if ours in here else empty for ours in COLUMNS})
    cells = cells.assign(row=table.rows, metadata_row=-1, fields=table.faults, one_hot_fault=False, twice=False)
    classes = _one_hot(table, layout)
    if classes:
        cells = cells.assign(**_decoded(table, classes))
        places["diagnosis"] = places["target"] = Place(str(table.path), ", ".join(classes))
    if "age" in cells:
        cells["age"] = cells["age"].mask(cells["age"].str.lower() == "unknown", None)
    return cells, places


def _one_hot(table: Table, layout: Layout) -> dict[str, str]:
    """Return the diagnosis of each class column of the table; an empty dictionary if it has none."""
    if not layout.one_hot:
        return {}
    if {"MEL", "NV"} <= set(table.columns):
        return {name: word for name, word in ONE_HOT.items() if name in table.columns}
    return ONE_HOT_2017 if set(ONE_HOT_2017) <= set(table.columns) else {}


def _decoded(table: Table, classes: dict[str, str]) -> dict[str, pd.Series]:
    """Return diagnosis, target and one_hot_fault. The target of a faulty row shows its cells."""
    columns = [table.columns[name] for name in classes]
    numbers = np.column_stack([pd.to_numeric(column, errors="coerce").astype(float) for column in columns])
    words = np.array([*classes.values(), "nevus"], dtype=object)
    total = numbers.sum(axis=1)
    valid = np.isin(numbers, (0, 1)).all(axis=1) & ((total == 1) | ((total == 0) & (classes is ONE_HOT_2017)))
    choice = np.where(total == 1, np.nan_to_num(numbers).argmax(axis=1), len(classes))
    diagnosis = pd.Series(words[choice], dtype="str").where(valid)
    target = (diagnosis == "melanoma").map({True: "1", False: "0"}).astype("str")
    for row in np.flatnonzero(~valid):
        cells = {name: column.iloc[row] for name, column in zip(classes, columns, strict=True)}
        shown = [f"{n}={'' if pd.isna(c) else c}" for n, c in cells.items() if c not in ("0", "0.0")]
        target[row] = ", ".join(shown) or "all 0"
    return {"diagnosis": diagnosis, "target": target, "one_hot_fault": pd.Series(~valid)}


def _joined(
    cells: pd.DataFrame, table: Table, layout: Layout, places: dict[str, Place], values: Values, similar_ids: str
) -> pd.DataFrame:
    """Fill the columns that only the metadata table has, by image."""
    key = next(name for name in layout.columns["image"] if name in table.columns)
    images = as_known(image_names(table.columns[key]), cells["image"], similar_ids, table.path)
    repeated = images.duplicated() & images.notna()
    first = images[~repeated & images.notna()]
    position = cells["image"].map(pd.Series(first.index, index=first.to_numpy()))
    for ours, place in places.items():
        if place.metadata:
            texts = _replaced(table.columns[place.column], values.get(ours, {})).reindex(position)
            cells[ours] = texts.mask(texts.str.lower() == "unknown", None).to_numpy() if ours == "age" else texts.array
    rows = pd.Series(table.rows).reindex(position).fillna(-1).astype(int)
    return cells.assign(metadata_row=rows.array, twice=cells["image"].isin(images[repeated]))


def _replaced(texts: pd.Series, words: dict[Any, str | float | None]) -> pd.Series:
    """Replace the texts that are keys of `words`, in upper or lower case; None makes a text missing."""
    lower = {plain(text).lower(): None if word is None else str(word) for text, word in words.items()}
    return texts.map({text: lower.get(text.lower(), text) for text in texts.dropna().unique()}).astype("str")


def _or(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _hint(name: str, present: list[str]) -> str:
    lower = {column.lower(): column for column in present}
    match = difflib.get_close_matches(name.lower(), lower, n=1)
    return f" (is {lower[match[0]]} meant?)" if match else ""
