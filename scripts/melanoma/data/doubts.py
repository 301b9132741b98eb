"""Doubts about the ids and labels of all sources together: what cannot be true of one patient, lesion or image."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from melanoma.data.catalog_schema import Issue
from melanoma.sources.layouts import Place, SourceTable

# Tables have no dates, so an age that goes back cannot be seen, but one that spreads too far can. Of the patients of
# ISIC 2020, with up to 18 years between images and ages rounded to 5 years, none has a spread of more than 20.
MOST_YEARS = 30
TAIL = 4096  # bytes at the end of a file, by which files of equal size are compared first
MOST_FILES = 100_000  # of equal size; so many are compared when the images are prepared, by the near-duplicate search


def find_doubts(cells: pd.DataFrame, typed: pd.DataFrame, sources: list[SourceTable]) -> Iterator[Issue]:
    """Yield a warning for each kind of doubt and each combination of sources that have it.

    `typed` has the rows of the catalog and `cells` their cells, with `stands_in`: the patient is no real one.
    """
    places = {source.name: source.places for source in sources}
    rows = typed.assign(known=typed["patient"].mask(cells["stands_in"]))
    for key, column, name in (
        ("lesion", "known", "patient"),
        ("lesion", "target", "target"),
        ("patient", "sex", "sex"),
    ):
        several = rows.groupby(key)[column].nunique()
        doubted = rows[rows[key].isin(several.index[several > 1])]
        yield from _issues(doubted, key, f"{key}(s) with more than one {name}", places)
    ages = rows.groupby("patient")["age"].agg(["min", "max"])
    doubted = ages.index[ages["max"] - ages["min"] > MOST_YEARS]
    problem = f"patient(s) whose ages are more than {MOST_YEARS} years apart"
    yield from _issues(rows[rows["patient"].isin(doubted)], "patient", problem, places)
    yield from _same_files(rows, places)


def _same_files(rows: pd.DataFrame, places: dict[str, dict[str, Place]]) -> Iterator[Issue]:
    copies = rows.assign(content=identical(rows["file"]))
    copies = copies[copies["content"].notna()]
    targets = copies.groupby("content")["target"].transform("nunique")
    for doubted, problem in (
        (copies[targets == 1], "image(s) that are the same file as another one"),
        (copies[targets > 1], "image(s) that are the same file as another one, with another target"),
    ):
        yield from _issues(doubted, "image", problem, places, group="content")


def identical(files: pd.Series) -> pd.Series:
    """Return the SHA-256 of each file that has the same content as another one, else None; files may be missing.

    Few files are read: those of equal size, and wholly if they also end in the same bytes. Empty files do not count.
    """
    paths = files.dropna()
    size = paths.map(_size)
    paths = paths[(size > 0) & size.duplicated(keep=False)]
    if len(paths) > MOST_FILES:
        return pd.Series(None, index=files.index, dtype="str")
    for last in (TAIL, None):
        digest = paths.map(lambda path, last=last: _digest(path, last)).astype("str")
        digest = digest[digest.duplicated(keep=False)]
        paths = paths[digest.index]
    return digest.reindex(files.index)


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0  # the preparation of the images names the file


def _digest(path: str, last: int | None) -> str | None:
    """Return the SHA-256 of a file, or of its last bytes."""
    try:
        with Path(path).open("rb") as file:
            if last is not None:
                file.seek(max(Path(path).stat().st_size - last, 0))
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return None


def _issues(
    doubted: pd.DataFrame, key: str, problem: str, places: dict[str, dict[str, Place]], group: str | None = None
) -> Iterator[Issue]:
    """Yield an issue of the values of `key` in `doubted` for each combination of sources that share a value."""
    if doubted.empty:
        return
    by_value = doubted.groupby(group or key, sort=False)["source"]
    sources = doubted[group or key].map(by_value.agg(lambda names: ", ".join(dict.fromkeys(names))))
    for names, rows in doubted.groupby(sources, sort=False):
        first = rows["source"].iloc[0]
        place = places[first].get(key) or places[first]["image"]
        values = rows[key].unique()
        yield Issue(
            source=str(names),
            table=place.table,
            row=None,
            image=None,
            column=place.column if key in places[first] else key,
            value=None,
            problem=f"{len(values)} {problem}, such as {', '.join(values[:3])}",
            action="warning",
        )
