"""Proposes the source of a study for a folder of images and a table: the layout, the columns and the words."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from melanoma.common.errors import InputError, listing
from melanoma.config.base import choices, option_type
from melanoma.config.data import Data, Source
from melanoma.data.catalog import build_catalog
from melanoma.data_check.columns import Columns, Found, find_columns, find_image_column, image_key
from melanoma.data_check.words import DOUBTFUL, TARGET_OF, Meaning, meanings
from melanoma.snakefile.study_files import nearest_path
from melanoma.tables.tables import read_table
from melanoma.tables.vocabulary import MELANOMA, harmonize

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".dcm")
TRANSLATED = ("target", "sex", "age", "site", "diagnosis")
PARTS = {"train", "training", "val", "valid", "validation", "test", "testing"}


@dataclass(frozen=True)
class Proposal:
    """A source as YAML has it, and a comment on each of its keys that is doubtful, by the dotted name of the key.

    `catalog` has the images that it makes usable; `dropped` is the number of rows that it does not.
    """

    source: dict[str, Any]
    comments: dict[str, str] = field(default_factory=dict)
    catalog: pd.DataFrame = field(default_factory=pd.DataFrame)
    dropped: int = 0


def propose(folders: Sequence[str], table: str | None) -> Proposal:
    """Return the proposal that makes the most images usable; raise InputError if there is none.

    A layout whose columns are known is preferred to one that names the columns.
    """
    files = [file for folder in folders for file in _image_files(Path(folder))]
    if folders and not files:
        raise InputError(
            f"{', '.join(folders)}: no image file. Expected files such as .jpg or .png; correct the folder"
        )
    faults: list[str] = []
    if table is None:
        candidates = [_class_folders(folders, files)]
    else:
        columns = read_table(Path(table)).columns
        candidates = list(_candidates(folders, files, table, columns))
        if all(candidate.source["layout"] != "columns" for candidate in candidates):
            faults.append(_unfit(files, columns))
    tried = [_tried(candidate, faults) for candidate in candidates]
    usable = [proposal for proposal in tried if proposal is not None]
    if not usable:
        raise InputError(f"no layout fits {table or ', '.join(folders)}:\n{listing(dict.fromkeys(faults))}")
    return max(usable, key=lambda proposal: (len(proposal.catalog), _filled(proposal.catalog)))


def _candidates(folders: Sequence[str], files: list[Path], table: str, columns: Columns) -> Iterator[Proposal]:
    """Yield what the source could be, the best first: `max` takes the first of several equal ones."""
    name = source_name(Path(table))
    places: list[Any] = [list(folders)] if folders else [None]
    leaves = sorted({str(file.parent) for file in files})
    if leaves != sorted(folders) and folders:
        places.append(leaves)
    image, share = find_image_column(columns, {image_key(file.name) for file in files})
    found = find_columns(columns, image) if image else Found()
    comments = {f"columns.{ours}": note for ours, note in found.notes.items()}
    if files and share < 1:
        comments["columns.image"] = f"{share:.0%} of the rows have an image file"
    if "patient" not in found.columns:
        comments["columns"] = "no column is the patient: images of one patient may be in training and test"
    for each in places:
        start: dict[str, Any] = {"name": name, "table": table, "images": each and (each[0] if len(each) == 1 else each)}
        whole = Proposal({**start, "layout": "columns", "columns": found.columns}, comments)
        translated = _translated(whole, columns)
        for layout in choices(option_type(Source, "layout")):
            if layout not in ("columns", "folders"):
                yield Proposal({**start, "layout": layout})
                if "values" in translated.source:
                    known = {**start, "layout": layout, "values": translated.source["values"]}
                    yield Proposal(known, translated.comments)
        for left_out in (), ("diagnosis",), ("target",):
            if {"target", "diagnosis"} & (set(found.columns) - set(left_out)) and set(left_out) <= set(found.columns):
                yield _translated(_without(whole, left_out), columns)


def _unfit(files: list[Path], columns: Columns) -> str:
    """Say why no proposal names the columns of a table."""
    image, _ = find_image_column(columns, {image_key(file.name) for file in files})
    given = f"The columns are: {', '.join(columns)}"
    if image is not None:
        return f"no column says which image is a melanoma: expected a target of 0 and 1, or a diagnosis. {given}"
    if files:
        return f"no column has the names of the image files, such as {files[0].name}. {given}"
    return f"no column is named as one of images, such as image or file; with --images its content decides. {given}"


def _without(proposal: Proposal, left_out: Sequence[str]) -> Proposal:
    kept = {ours: theirs for ours, theirs in proposal.source["columns"].items() if ours not in left_out}
    comments = dict(proposal.comments)
    if left_out:
        theirs = proposal.source["columns"][left_out[0]]
        other = "diagnosis" if left_out[0] == "target" else "target"
        comments[f"columns.{other}"] = f"{theirs} is left out, because it contradicts this column or has unknown words"
    return replace(proposal, source={**proposal.source, "columns": kept}, comments=comments)


def _translated(proposal: Proposal, table: Columns) -> Proposal:
    """Add the meaning of each word that cannot be read as it is. A meaning that is a guess has a comment."""
    values: dict[str, dict[str, Meaning]] = {}
    comments = dict(proposal.comments)
    for ours in TRANSLATED:
        theirs = proposal.source["columns"].get(ours)
        words = meanings(ours, table[theirs]) if theirs else {}
        if words:
            values[ours] = words
        comments |= _doubts(ours, words)
    source = {**proposal.source, "values": values} if values else proposal.source
    return replace(proposal, source=source, comments=comments)


def _doubts(ours: str, words: dict[str, Meaning]) -> dict[str, str]:
    """Return a comment on each word whose meaning is a guess or unknown."""
    comments = {}
    for word, meaning in words.items():
        if meaning in (None, "unknown"):
            comments[f"values.{ours}.{word}"] = "unknown word: missing. Write its meaning"
        elif ours == "diagnosis":
            comments[f"values.{ours}.{word}"] = "a guess: is it right?"
        elif ours == "target" and word.lower() in DOUBTFUL:
            comments[f"values.{ours}.{word}"] = DOUBTFUL[word.lower()]
    return comments


def _class_folders(folders: Sequence[str], files: list[Path]) -> Proposal:
    """Return the proposal for folders whose subfolders are classes."""
    if "folders" not in choices(option_type(Source, "layout")):
        raise InputError(f"{', '.join(folders)}: a table of the images is missing. Give it with --table")
    below = {
        folder: sorted({file.relative_to(folder).parts[0] for file in files if _inside(file, folder)})
        for folder in folders
    }
    parts = [f"{folder}/{name}" for folder, names in below.items() for name in names if name.lower() in PARTS]
    classes = sorted({file.parent.name for file in files})
    start: dict[str, Any] = {"name": source_name(Path(folders[0])), "layout": "folders"}
    places = parts or list(folders)
    start["images"] = places[0] if len(places) == 1 else places
    texts = pd.Series(classes, dtype="str")
    comments = {"images": "no table names the patients: images of one patient may be in training and test"}
    if parts:
        comments["images"] += "; these parts are joined and split again"
    binary = len(classes) == 2 and {TARGET_OF.get(name.lower()) for name in classes} == {0, 1}
    named = (harmonize(texts, "diagnosis")["word"] == MELANOMA).any()
    ours = "target" if binary and not named else "diagnosis"
    words = meanings(ours, texts)
    comments |= _doubts(ours, words)
    return Proposal({**start, "values": {ours: words}} if words else start, comments)


def _tried(proposal: Proposal, faults: list[str]) -> Proposal | None:
    """Return the proposal with its catalog; None if it cannot be read, whose reason is added to `faults`.

    Ids that differ only in their spelling are taken for the same: that never parts the images of a patient.
    """
    try:
        source = Source(**proposal.source)
        catalog, issues = build_catalog(Data(sources=(source,), on_bad_row="drop"))
    except InputError as error:
        if "similar_ids" in str(error) and "similar_ids" not in proposal.source:
            comment = {"similar_ids": "some ids differ only in their spelling, as P7 and p7; or different"}
            same = {**proposal.source, "similar_ids": "same"}
            return _tried(replace(proposal, source=same, comments=proposal.comments | comment), faults)
        if proposal.source["layout"] in ("columns", "folders"):
            faults.append(str(error))
        return None
    dropped = issues[issues["action"] == "dropped"]
    return replace(
        proposal, catalog=catalog, dropped=int(dropped[["table", "row", "image"]].drop_duplicates().shape[0])
    )


def _filled(catalog: pd.DataFrame) -> int:
    """Return how many of the columns hold something. A patient that the lesion or image stands in for is nothing."""
    columns = ("lesion", "sex", "age", "site", "diagnosis")
    named = ~catalog["patient"].str.startswith(catalog["source"].iloc[0] + ":").all()
    return sum(bool(catalog[column].notna().any()) for column in columns) + bool(named)


def source_name(path: Path) -> str:
    """Return the name of a file or folder as the name of a source or study."""
    name = re.sub(r"[^a-z0-9]+", "_", path.name.partition(".")[0].lower()).strip("_")
    return (name if name[:1].isalpha() else f"data_{name}")[:60]


def _image_files(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder{nearest_path(folder)}. Correct the path after --images")
    for parent, subfolders, names in os.walk(folder, followlinks=True):
        subfolders.sort()
        yield from (Path(parent, name) for name in sorted(names) if name.lower().endswith(SUFFIXES))


def _inside(file: Path, folder: str) -> bool:
    return file.is_relative_to(folder) and len(file.relative_to(folder).parts) > 1
