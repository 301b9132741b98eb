"""The tables of the sources, each layout read into the same columns: texts as they stand, with their places."""

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
from melanoma.data.tables import Table, plain, plain_texts, read_table

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
ONE_HOT_2017 = {"melanoma": "melanoma", "seborrheic_keratosis": "seborrheic keratosis"}  # neither is a nevus


@dataclass(frozen=True)
class Layout:
    """How a kind of table is laid out: what each of our columns may be called, and which of ours it must have."""

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
    """Where one of our columns comes from: which table, and the column's name there."""

    table: str
    column: str
    metadata: bool = False


@dataclass(frozen=True)
class Source:
    """A source as read: `cells` in COLUMNS as texts, with row, metadata_row, fields, one_hot_fault, twice and file.

    row and metadata_row are row numbers in the two tables (metadata_row -1 where it has no such image); fields says
    what is wrong with the row's length; twice that the metadata has the image twice; file is None where there is none.
    `folders` is None for a source of tables alone.
    """

    name: str
    role: str
    folders: str | None
    metadata: str | None
    cells: pd.DataFrame
    places: dict[str, Place]
    patient_required: bool
    suffixes: int  # image names that were given with .jpg or the like


def read_source(source: dict[str, Any]) -> Source:
    """Read a source's tables and list its folders; raise InputError that says all that makes it unusable."""
    layout = _layout(source)
    folders = image_folders(source)
    faults: list[str] = []
    tables: list[Table] = []
    files: dict[str, str] = {}
    for path in filter(None, [source["table"], source.get("metadata")]):
        with noting(faults):
            tables.append(read_table(Path(path)))
    for folder in reversed(folders):
        with noting(faults):
            files |= list_images(Path(folder))
    if not faults:
        with noting(faults):
            _check_columns(tables, layout)
    if faults:
        raise InputError("\n".join(f"source {source['name']}: {fault}" for fault in faults))
    cells, places = _cells(tables, layout)
    for column, words in (source.get("values") or {}).items():
        cells[column] = _replaced(cells[column], words)
    given = cells["image"]
    cells["image"] = _image_names(given)
    if len(tables) == 2:
        cells = _joined(cells, tables[1], layout, places, source.get("values") or {})
    return Source(
        name=source["name"],
        role=source.get("role") or "study",
        folders=", ".join(folders) or None,
        metadata=source.get("metadata"),
        cells=cells.assign(file=cells["image"].map(files).astype("str")),
        places=places,
        patient_required="patient" in layout.required,
        suffixes=int((given != cells["image"]).fillna(False).sum()),
    )


def image_folders(source: dict[str, Any]) -> list[str]:
    """Return a source's folders of images, none for a source of tables alone."""
    given = source["images"]
    return [given] if isinstance(given, str) else given or []


def list_images(folder: Path) -> dict[str, str]:
    """Map each image's name without its suffix to its path, from one listing of the folder."""
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
    return {plain(stem): f"{folder}/{stem}{suffix}" for stem, suffix in split if suffix.lower() in IMAGE_SUFFIXES}


@contextmanager
def noting(faults: list[str]) -> Iterator[None]:
    """Note an InputError and go on, so that all faults are told at once."""
    try:
        yield
    except InputError as error:
        faults.append(str(error))


def _layout(source: dict[str, Any]) -> Layout:
    if source["layout"] != "columns":
        return LAYOUTS[source["layout"]]
    columns = {ours: theirs for ours, theirs in (source.get("columns") or {}).items() if theirs is not None}
    if "image" not in columns or not {"target", "diagnosis"} & set(columns):
        raise InputError(
            f"source {source['name']}: layout columns needs `columns` that name the table's column for image and for "
            "target or diagnosis, as in columns: {image: file, target: label}"
        )
    return Layout({ours: (theirs,) for ours, theirs in columns.items()}, frozenset(columns))


def _check_columns(tables: list[Table], layout: Layout) -> None:
    """Raise InputError for every column that the tables lack, and for a metadata table that has no image column."""
    faults = []
    there = [name for table in tables for name in table.columns]
    for ours in layout.columns:
        names = layout.columns[ours]
        if ours in layout.required and not set(names) & set(there):
            faults.append(f"no column {_or(names)}{_meant(names[0], there)}")
    labels = {"target", "diagnosis"} & {ours for ours, names in layout.columns.items() if set(names) & set(there)}
    if not labels and not _one_hot(tables[0], layout):
        faults.append("no column target or diagnosis, and no classes (MEL, NV, BCC, ...)")
    for table in tables:
        if not faults and not set(layout.columns["image"]) & set(table.columns):
            faults.append(f"no column {_or(layout.columns['image'])} in {table.path}")
    if faults:
        paths = " and ".join(str(table.path) for table in tables)
        raise InputError(
            f"{paths}: {'; '.join(faults)}. The columns there are: {', '.join(there)}. "
            "Rename or add them, or give the layout of this table"
        )


def _cells(tables: list[Table], layout: Layout) -> tuple[pd.DataFrame, dict[str, Place]]:
    """Return the first table's cells in our columns, empty where it has none, and the places of all columns."""
    table = tables[0]
    places: dict[str, Place] = {}
    for ours, names in layout.columns.items():
        for number, candidate in enumerate(tables):
            found = [name for name in names if name in candidate.columns]
            if found and ours not in places:
                places[ours] = Place(str(candidate.path), found[0], metadata=number == 1)
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
    """Return the table's class columns and what each stands for; none where it has no such columns."""
    if not layout.one_hot:
        return {}
    if {"MEL", "NV"} <= set(table.columns):
        return {name: word for name, word in ONE_HOT.items() if name in table.columns}
    return ONE_HOT_2017 if set(ONE_HOT_2017) <= set(table.columns) else {}


def _decoded(table: Table, classes: dict[str, str]) -> dict[str, Any]:
    """Return diagnosis, target and one_hot_fault; a faulty row's target shows what stands there."""
    columns = [table.columns[name] for name in classes]
    numbers = np.column_stack([pd.to_numeric(column, errors="coerce").astype(float) for column in columns])
    words = np.array([*classes.values(), "nevus"], dtype=object)
    total = numbers.sum(axis=1)
    right = np.isin(numbers, (0, 1)).all(axis=1) & ((total == 1) | ((total == 0) & (classes is ONE_HOT_2017)))
    choice = np.where(total == 1, np.nan_to_num(numbers).argmax(axis=1), len(classes))
    diagnosis = np.where(right, words[choice], None)
    target = np.where(right, np.where(diagnosis == "melanoma", "1", "0"), None)
    for row in np.flatnonzero(~right):
        cells = {name: column.iloc[row] for name, column in zip(classes, columns, strict=True)}
        shown = [f"{n}={'' if pd.isna(c) else c}" for n, c in cells.items() if c not in ("0", "0.0")]
        target[row] = ", ".join(shown) or "all 0"
    return {
        "diagnosis": pd.Series(diagnosis, dtype="str"),
        "target": pd.Series(target, dtype="str"),
        "one_hot_fault": ~right,
    }


def _joined(
    cells: pd.DataFrame, table: Table, layout: Layout, places: dict[str, Place], values: dict[str, dict[str, Any]]
) -> pd.DataFrame:
    """Fill the columns that only the metadata has, by image."""
    key = next(name for name in layout.columns["image"] if name in table.columns)
    images = _image_names(table.columns[key])
    repeated = images.duplicated() & images.notna()
    first = images[~repeated & images.notna()]
    position = cells["image"].map(pd.Series(first.index, index=first.to_numpy()))
    for ours, place in places.items():
        if place.metadata:
            found = _replaced(table.columns[place.column], values.get(ours, {})).reindex(position)
            cells[ours] = found.mask(found.str.lower() == "unknown", None).to_numpy() if ours == "age" else found.array
    rows = pd.Series(table.rows).reindex(position).fillna(-1).astype(int)
    return cells.assign(metadata_row=rows.array, twice=cells["image"].isin(images[repeated]))


def _replaced(texts: pd.Series, words: dict[str, Any]) -> pd.Series:
    """Replace the texts that `words` names, in whatever case; None makes a text missing."""
    lower = {plain(str(theirs).strip()).lower(): None if ours is None else str(ours) for theirs, ours in words.items()}
    return texts.map({text: lower.get(text.lower(), text) for text in texts.dropna().unique()}).astype("str")


def _image_names(images: pd.Series) -> pd.Series:
    """Return the names without a suffix, as list_images has them."""
    return plain_texts(images.str.replace(r"\.(?:jpe?g|png)$", "", case=False, regex=True))


def _or(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _meant(name: str, there: list[str]) -> str:
    lower = {column.lower(): column for column in there}
    match = difflib.get_close_matches(name.lower(), lower, n=1)
    return f" (is {lower[match[0]]} meant?)" if match else ""
