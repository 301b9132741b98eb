"""Reads the tables of a source, of any layout, into the same columns of texts."""

import dataclasses
import difflib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import pandas as pd

from melanoma.common.errors import InputError
from melanoma.config.data import SUBGROUP, Columns, Source
from melanoma.sources.class_columns import decode, isic_classes
from melanoma.sources.dicom_tags import with_tags
from melanoma.sources.image_files import class_folders, find_files, joined, list_images, names_and_paths
from melanoma.tables.identifiers import as_known
from melanoma.tables.tables import Table, read_table
from melanoma.tables.vocabulary import MELANOMA, harmonize, names_cancers, replace

COLUMNS = (*Columns.model_fields, "benign_malignant")
# The archive gives diagnoses and sites by levels, as in diagnosis_1 to diagnosis_5. We read them joined by colons.
LEVELS = ("diagnosis_", "iddx_", "anatom_site_")
MALIGNANCY = "target (malignancy)"  # the target of ISIC 2024, where a basal cell carcinoma has 1
SKIN_TYPES = {roman: str(number) for number, roman in enumerate(("I", "II", "III", "IV", "V", "VI"), 1)}
KEYS = ("image", "lesion", "patient")  # what two tables are joined by: the first that both have

# For each of our columns, what the words of a table mean.
Values = dict[str, dict[Any, str | float | None]]


@dataclass(frozen=True)
class Layout:
    """A kind of table: the possible names of each of our columns, and which of our columns are required.

    `isic` tables may have the class columns of ISIC. The source names `classes`. Without `labeled`, no label is read.
    """

    columns: dict[str, tuple[str, ...]]
    required: frozenset[str]
    isic: bool = False
    classes: tuple[str, ...] = ()
    labeled: bool = True


LABELS = {"target", "diagnosis", "benign_malignant"}
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
            "image": ("isic_id", "image_name", "image_id", "image", "bcn_filename"),
            "patient": ("patient_id",),
            "lesion": ("lesion_id",),
            "sex": ("sex",),
            "age": ("age_approx", "age_approximate"),
            "site": ("anatom_site_general_challenge", "anatom_site_general", "anatom_site_*", "site"),
            "diagnosis": ("diagnosis", "diagnosis_*", "iddx_full", "iddx_*"),
            "benign_malignant": ("benign_malignant", MALIGNANCY),
            "target": ("target",),
            "skin_type": ("fitzpatrick_skin_type",),
            "confirmation": ("diagnosis_confirm_type",),
            "license": ("copyright_license",),
            "attribution": ("attribution",),
        },
        required=frozenset({"image"}),
        isic=True,
    ),
    "ham10000": Layout(
        columns={
            "image": ("image_id",),
            "lesion": ("lesion_id",),
            "sex": ("sex",),
            "age": ("age",),
            "site": ("localization",),
            "diagnosis": ("dx",),
            "confirmation": ("dx_type",),
        },
        required=frozenset({"image", "lesion", "sex", "age", "site", "diagnosis"}),
    ),
    "folders": Layout(columns={"image": ("image",), "diagnosis": ("folder",)}, required=frozenset({"image"})),
    "columns": Layout(columns={}, required=frozenset()),
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
    metadata has the image twice. file and file_fault: the path of the image, or why there is none. `folders` is None
    for a source of tables alone.
    """

    name: str
    role: str
    folders: str | None
    metadata: str | None
    cells: pd.DataFrame
    places: dict[str, Place]
    patient_required: bool
    suffixes: int  # number of image names with a suffix such as .jpg
    columns: tuple[str, ...]  # all names of the columns of the tables
    files: frozenset[str]  # the paths of all images in the folders
    notes: list[tuple[str, str, str]]  # column, problem and action of what the files say


def read_source(source: Source, subgroups: Sequence[str] = ()) -> SourceTable:
    """Read the tables of a source and list its folders; raise InputError with all errors that make it unusable.

    `subgroups` are columns of the tables that the cells keep, with the prefix `SUBGROUP`; null where there is none.
    """
    layout = _layout(source, subgroups)
    folders = (source.images,) if isinstance(source.images, str) else source.images or ()
    faults: list[str] = []
    tables: list[Table] = []
    listings: dict[str, dict[str, list[str]]] = {}
    for folder in folders:
        with noting(faults):
            listings[folder] = list_images(Path(folder))
    images = joined(listings.values())
    if source.layout == "folders" and not faults:
        with noting(faults):
            table, images = class_folders(listings)
            tables.append(table)
    for path, header in ((source.table, source.header), (source.metadata, None)):
        if path:
            with noting(faults):
                tables.append(read_table(Path(path), header))
    tables = _with_levels(tables, layout)
    if not faults:
        with noting(faults):
            _check_columns(tables, layout)
    if faults:
        raise InputError("\n".join(f"source {source.name}: {fault}" for fault in faults))
    values: Values = {str(column): words for column, words in (source.values or {}).items()}
    # The rows are those of the table of images. That of lesions or patients is joined to them.
    tables.sort(key=lambda table: _column(table, layout, "image") is None)
    cells, places = _cells(tables[0], layout, values)
    if len(tables) == 2:
        cells, places = _joined(cells, places, tables[1], layout, values, source.similar_ids)
    suffixes = int(cells.pop("suffix").sum())
    cells = cells.join(find_files(cells.pop("path"), images, ", ".join(folders)))
    cells, notes = with_tags(cells)
    return SourceTable(
        name=source.name,
        role=source.role,
        folders=", ".join(folders) or None,
        metadata=str(tables[1].path) if len(tables) == 2 else None,
        cells=cells,
        files=frozenset(path for paths in images.values() for path in paths),
        notes=notes,
        places=places,
        patient_required="patient" in layout.required,
        suffixes=suffixes,
        columns=tuple(name for table in tables for name in table.columns),
    )


@contextmanager
def noting(faults: list[str]) -> Iterator[None]:
    """Append an InputError to `faults` and continue, so that all errors are reported together."""
    try:
        yield
    except InputError as error:
        faults.append(str(error))


def _layout(source: Source, subgroups: Sequence[str]) -> Layout:
    """Return the layout of a source, with the columns that it and the subgroups name. Role predict has no labels."""
    layout = LAYOUTS[source.layout]
    if source.layout == "folders" and "target" in (source.values or {}):
        layout = Layout({"image": ("image",), "target": ("folder",)}, layout.required)
    named = source.columns.model_dump(exclude_none=True) if source.columns else {}
    classes = () if isinstance(named.get("diagnosis", ""), str) else tuple(named.pop("diagnosis"))
    columns = layout.columns | {ours: (theirs,) for ours, theirs in named.items()}
    columns |= {f"{SUBGROUP}{name}": (name,) for name in subgroups}
    if source.layout == "folders":  # "image" is our own name, that of the source is in the metadata
        columns["image"] += ("image",)
    labeled = source.role != "predict"
    if "image" not in columns or (labeled and not (classes or {"target", "diagnosis"} & set(columns))):
        raise InputError(
            f"source {source.name}: layout columns needs `columns` with the table's names of image, and of target or"
            " diagnosis, as in columns: {image: file, target: label}"
        )
    if labeled:
        return Layout(columns, layout.required | set(named), layout.isic, classes)
    columns = {ours: theirs for ours, theirs in columns.items() if ours not in LABELS}
    return Layout(columns, (layout.required | set(named)) & set(columns), labeled=False)


def _check_columns(tables: list[Table], layout: Layout) -> None:
    """Raise InputError if the tables lack required columns, or if one of them cannot be joined to the other."""
    faults = []
    present = [name for table in tables for name in table.columns]
    for table in tables:
        _check_header(table)
    for ours in layout.columns:
        names = layout.columns[ours]
        if ours in layout.required and not set(names) & set(present):
            faults.append(f"no column {_or(names)}{_hint(names[0], present)}")
    faults += [f"no column {name}{_hint(name, present)}" for name in layout.classes if name not in present]
    labels = {"target", "diagnosis"} & {ours for ours, names in layout.columns.items() if set(names) & set(present)}
    if layout.labeled and not labels and not any(_classes(table, layout) for table in tables):
        faults.append("no column target or diagnosis, and no classes (MEL, NV, BCC, ...)")
    for table in tables:
        joined = len(tables) == 2 and any(all(_column(each, layout, key) for each in tables) for key in KEYS)
        if not faults and not joined and not _column(table, layout, "image"):
            faults.append(f"no column {_or(layout.columns['image'])} in {table.path}")
    if faults:
        paths = " and ".join(str(table.path) for table in tables)
        raise InputError(
            f"{paths}: {'; '.join(faults)}. The columns are: {', '.join(present)}. "
            "Rename or add columns, or give the layout of this table"
        )


def _check_header(table: Table) -> None:
    """Raise InputError if a column's name looks like its first text: ISIC_0000000 above ISIC_0000001."""
    for name, texts in table.columns.items():
        patterns = {re.sub(r"[0-9]+", "0", text) for text in (name, str(texts[0]))}
        if re.search(r"[A-Za-z].*[0-9]", name) and len(patterns) == 1:
            raise InputError(
                f"{table.path}: no header: the first line has {name}, where the name of a column is expected. Name the"
                " columns in their order under `header` of the source, as in header: [image_id, target]"
            )


def _column(table: Table, layout: Layout, ours: str) -> str | None:
    """Return the name that a table has for one of our columns; None if it lacks the column."""
    return next((name for name in layout.columns.get(ours, ()) if name in table.columns), None)


def _with_levels(tables: list[Table], layout: Layout) -> list[Table]:
    """Add to the tables the columns of LEVELS, joined by colons. In layout isic, the target of 2024 is malignancy."""
    added: list[dict[str, pd.Series]] = []
    malignancy = layout.isic and any(name.startswith("iddx_") for table in tables for name in table.columns)
    for table in tables:
        columns = dict(table.columns)
        for prefix in LEVELS:
            levels = [columns[f"{prefix}{n}"] for n in range(1, 6) if f"{prefix}{n}" in columns]
            if levels:
                columns[f"{prefix}*"] = reduce(
                    lambda path, level: (path + ":" + level).fillna(path).fillna(level), levels
                )
        if malignancy and "target" in columns:
            target = columns.pop("target")
            columns[MALIGNANCY] = target.replace({"0": "benign", "1": "malignant"})
        added.append(columns)
    return [dataclasses.replace(table, columns=columns) for table, columns in zip(tables, added, strict=True)]


def _classes(table: Table, layout: Layout) -> dict[str, str]:
    """Return the diagnosis of each class column of the table; an empty dictionary if it has none."""
    if layout.classes and set(layout.classes) <= set(table.columns):
        return {name: name for name in layout.classes}
    return isic_classes(table.columns) if layout.isic and not layout.classes else {}


def _cells(table: Table, layout: Layout, values: Values) -> tuple[pd.DataFrame, dict[str, Place]]:
    """Return the cells of a table in our columns, empty where it lacks one, and the places of those that it has."""
    here = {ours: name for ours in layout.columns if (name := _column(table, layout, ours))}
    places = {ours: Place(str(table.path), theirs) for ours, theirs in here.items()}
    empty = pd.Series([None] * len(table.rows), dtype="str")
    names = dict.fromkeys([*COLUMNS, *layout.columns])
    cells = pd.DataFrame({ours: table.columns[here[ours]] if ours in here else empty for ours in names})
    cells = cells.assign(row=table.rows, metadata_row=-1, fields=table.faults, one_hot_fault=False, twice=False)
    classes = _classes(table, layout)
    if classes:
        decoded = decode(table.columns, classes)
        cells = cells.assign(diagnosis=decoded["diagnosis"], one_hot_fault=decoded["one_hot_fault"])
        places["diagnosis"] = places["target"] = Place(str(table.path), ", ".join(classes))
    unread = [] if "diagnosis" in places else [n for n in table.columns if names_cancers(table.columns[n])]
    if unread:
        fullest = max(unread, key=lambda name: table.columns[name].count())
        places["unread_diagnosis"] = Place(str(table.path), fullest)
    cells["unread_diagnosis"] = table.columns[fullest] if unread else empty
    cells["skin_type"] = cells["skin_type"].replace(SKIN_TYPES)
    cells["age"] = cells["age"].mask(cells["age"].str.lower() == "unknown", None)
    for column in places.keys() & values:
        cells[column] = replace(cells[column], column, values[column])
    if classes:
        melanoma = harmonize(cells["diagnosis"], "diagnosis")["word"] == MELANOMA
        target = melanoma.map({True: "1", False: "0"}).astype("str")
        cells["target"] = target.mask(cells["one_hot_fault"], decoded["one_hot"])
    names, paths = names_and_paths(cells["image"])
    return cells.assign(suffix=(cells["image"] != names).fillna(False), image=names, path=paths), places


def _joined(
    cells: pd.DataFrame, places: dict[str, Place], table: Table, layout: Layout, values: Values, similar_ids: str
) -> tuple[pd.DataFrame, dict[str, Place]]:
    """Fill the columns that only the second table has, by image, or else by lesion or patient."""
    more, others = _cells(table, layout, values)
    key = next(key for key in KEYS if key in places and key in others)
    names = as_known(more[key], cells[key], similar_ids, table.path)
    repeated = names.duplicated() & names.notna()
    first = names[~repeated & names.notna()]
    position = cells[key].map(pd.Series(first.index, index=first.to_numpy()))
    filled = {ours: more[ours].reindex(position).array for ours in others if ours not in places}
    if "target" in filled and more["one_hot_fault"].any():
        filled["one_hot_fault"] = more["one_hot_fault"].reindex(position).fillna(False).astype(bool).array
    rows = pd.Series(table.rows).reindex(position).fillna(-1).astype(int)
    cells = cells.assign(**filled, metadata_row=rows.array, twice=cells[key].isin(names[repeated]))
    return cells, {ours: dataclasses.replace(place, metadata=True) for ours, place in others.items()} | places


def _or(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _hint(name: str, present: list[str]) -> str:
    lower = {column.lower(): column for column in present}
    match = difflib.get_close_matches(name.lower(), lower, n=1)
    return f" (is {lower[match[0]]} meant?)" if match else ""
