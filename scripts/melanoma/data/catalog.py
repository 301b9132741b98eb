"""Joins the tables of all sources into one catalog. Checks each row; an issue names its place and its remedy."""

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd

from melanoma.common.cli import log
from melanoma.common.errors import InputError, listing
from melanoma.config.data import Data
from melanoma.data.catalog_schema import ISSUE_COLUMNS, UNLABELED, against_schema, row_count, with_subgroups
from melanoma.data.doubts import find_doubts
from melanoma.data.id_spaces import settle_ids
from melanoma.data.notes import find_notes, unnamed_files
from melanoma.data.proposals import malignancies, meanings, proposed_values
from melanoma.data.units import row_units, unit
from melanoma.sources.layouts import SourceTable, noting, read_source
from melanoma.tables.identifiers import UNPRINTABLE, printable
from melanoma.tables.tables import row_name
from melanoma.tables.vocabulary import (
    AT_LEAST,
    BENIGN,
    MELANOMA,
    VOCABULARIES,
    WITHOUT_DIAGNOSIS,
    contradiction,
    harmonize,
    nearest,
)

EXPECTED = {
    "sex": "expected male, female or nothing",
    "site": "expected a site of the vocabulary or nothing",
    "diagnosis": "expected a diagnosis of the vocabulary or nothing",
}
WORD_FOR_TARGET = (
    "expected 0 (benign) or 1 (melanoma); correct it, remove the row, or give the meaning of words under `values` of"
    " the source, as in target: {benign: 0, melanoma: 1}"
)
WRONG_TARGET = "expected 0 (benign) or 1 (melanoma); correct it or remove the row"
GIVE_MEANING = "give its meaning under `values` of the source"
KINDS_SHOWN = 30


def build_catalog(data: Data) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read and check all sources; return the catalog and its issues.

    The catalog has one row for each image, in the order of the tables, with the columns and types of `with_subgroups`.
    The issues have the columns of `Issue`; their action is dropped, normalized or warning. Raises one InputError that
    lists all problems: if a source cannot be used at all, or if a row is wrong and on_bad_row is fail.
    """
    sources: list[SourceTable] = []
    faults: list[str] = []
    for given in data.sources:
        with noting(faults):
            sources.append(read_source(given, data.subgroups))
    if not sources:
        raise InputError("\n".join(faults))
    cells = join(sources)
    words = {column: harmonize(cells[column], column) for column in VOCABULARIES}
    cells, id_notes = settle_ids(cells, words["sex"]["word"], data.sources, sources, faults)
    typed = canonical(cells, words)
    faults += _unknown_subgroups(data, sources)
    faults += malignancies(cells, typed, words, sources)
    problems = find_problems(cells, typed, words, sources)
    if len(problems) and (faults or data.on_bad_row == "fail"):
        faults.append(
            f"{row_count(problems.index.nunique())} cannot be used:\n{describe(problems)}\n"
            "Correct them, or set on_bad_row: drop, which leaves these rows out and lists them in issues.csv."
            + meanings(proposed_values(cells, words))
        )
    kept = ~cells.index.isin(problems.index)
    # With on_bad_row: fail, a source with bad rows is not checked for both classes: its other rows are not all of it.
    incomplete = set() if data.on_bad_row == "drop" else set(problems["source"])
    faults += _unusable_sources(sources, typed[kept], incomplete)
    if faults:
        raise InputError("\n".join(faults))
    catalog = with_subgroups(typed.columns).validate(typed[kept].reset_index(drop=True))
    labeled = typed.assign(target=typed["target"].mask(typed["role"] == "predict"))
    doubts = find_doubts(cells[kept], labeled[kept], sources)
    unnamed = unnamed_files(cells["file"], sources)
    found = [*find_notes(cells[kept], words, sources), *id_notes, *doubts, *unnamed]
    notes = pd.DataFrame(found, columns=ISSUE_COLUMNS)
    _log_summary(catalog, problems, notes)
    issues = [part for part in (problems.assign(action="dropped"), notes) if len(part)] or [notes]
    return catalog, pd.concat(issues, ignore_index=True).astype({"row": "Int64"})


def join(sources: list[SourceTable]) -> pd.DataFrame:
    """Join the cells of the sources, with columns source, role, unit, and derived and stands_in, both bool.

    `derived`: the target follows from the diagnosis. `stands_in`: the table names no patient and need not. `unit` says
    what the patient of a row is then (see `units`).
    """
    tables = [
        source.cells.assign(
            source=source.name,
            role=source.role,
            derived="target" not in source.places and source.role != "predict",
            stands_in=source.cells["patient"].isna() & (not source.patient_required),
        )
        for source in sources
    ]
    cells = pd.concat(tables, ignore_index=True)
    return cells.assign(unit=row_units(cells["stands_in"], cells["lesion"]))


def canonical(cells: pd.DataFrame, words: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return `cells` in the columns and types of `with_subgroups`, with `words` of the vocabulary.

    An age or size that is not a number becomes infinite, so that the schema rejects it: as a missing value it would be
    accepted. A target that is not 0 or 1 becomes UNLABELED.
    """
    # The archive writes an age of 85 or more as 85+.
    ages = cells["age"].str.replace(AT_LEAST, r"\1", regex=True)
    numbers = {"age": _number(ages)} | {column: _number(cells[column]) for column in ("width", "height")}
    diagnosis = words["diagnosis"]["word"]
    target = pd.to_numeric(cells["target"], errors="coerce").astype(float)
    benign = (diagnosis.notna() & (diagnosis != "malignant")) | (
        cells["benign_malignant"].str.lower() == "benign"
    ).fillna(False)
    from_diagnosis = np.where(diagnosis == MELANOMA, 1.0, np.where(benign, 0.0, -1.0))
    target = target.mask(cells["derived"], pd.Series(from_diagnosis, index=cells.index))
    named = {column: translated["word"] for column, translated in words.items()}
    named["diagnosis"] = diagnosis.mask(diagnosis.isin(WITHOUT_DIAGNOSIS), None)
    return cells.assign(
        **named,
        **numbers,
        target=target.where(target.isin([0, 1]), UNLABELED).astype(np.int8),
    )[list(with_subgroups(cells.columns).columns)]


def find_problems(
    cells: pd.DataFrame, typed: pd.DataFrame, words: dict[str, pd.DataFrame], sources: list[SourceTable]
) -> pd.DataFrame:
    """Check every row; return the columns of `Issue` without action, a row for each wrong cell, indexed as `cells`."""
    rules = [
        pd.DataFrame({"index": cells.index[broken], "column": column, "problem": problem})
        for broken, column, problem in [*_rules(cells, typed, words, sources), *_unknown_words(cells, words)]
    ]
    wrong = pd.concat([*rules, against_schema(typed)])
    # A derived target has no cell that could be wrong. In a row of the wrong length, a cell may be another column's.
    rows = cells.loc[wrong["index"].astype(int), ["derived", "fields"]]
    derived = (wrong["column"] == "target").to_numpy() & rows["derived"].to_numpy()
    shifted = (wrong["column"] != "fields").to_numpy() & rows["fields"].notna().to_numpy()
    wrong = wrong[~derived & ~shifted]
    wrong = wrong.drop_duplicates(["index", "column"]).sort_values("index", kind="stable").set_index("index")
    parts = [_placed(group, cells.loc[group.index], name, sources) for name, group in wrong.groupby("column")]
    if not parts:
        return pd.DataFrame(columns=ISSUE_COLUMNS[:-1])
    return pd.concat(parts).sort_index(kind="stable")


def describe(problems: pd.DataFrame) -> str:
    """Describe all problems, grouped by table, column and problem, each with its line, image and value."""
    kinds: list[str] = []
    groups = problems.groupby(["table", "column", "problem"], sort=False)
    for (table, column, problem), rows in groups:
        if len(kinds) == KINDS_SHOWN:
            kinds.append(f"... and {groups.ngroups - KINDS_SHOWN} more kinds of problems")
            break
        shown = [
            f"{row_name(table)} {row.row}, image {printable(row.image)}"
            + (f": {row.value!r}" if pd.notna(row.value) else "")
            for row in rows.itertuples()
        ]
        kinds.append(f"{table}: {column}: {problem} ({row_count(len(rows))})\n{listing(shown, limit=5)}")
    return "\n".join(kinds)


def _number(texts: pd.Series) -> pd.Series:
    number = pd.to_numeric(texts, errors="coerce").astype(float)
    return number.mask(number.isna() & texts.notna(), np.inf)


def _rules(
    cells: pd.DataFrame, typed: pd.DataFrame, words: dict[str, pd.DataFrame], sources: list[SourceTable]
) -> Iterator[tuple[pd.Series, str, str]]:
    """Yield the rules that the schema cannot express: the rows that break a rule, the column and the problem."""
    yield (
        cells["fields"].notna(),
        "fields",
        "wrong number of fields; add the missing comma, or quote the text with one",
    )
    for column in ("image", "patient", "lesion"):
        yield cells[column].str.contains(UNPRINTABLE, na=False), column, "has a control character; write the name anew"
    yield from _repeated_images(cells, typed["target"])
    for source in sources:
        named = (cells["source"] == source.name) & cells["image"].notna()
        for fault in cells.loc[named, "file_fault"].dropna().unique() if source.folders else ():
            yield named & (cells["file_fault"] == fault), "image", fault
        yield named & cells["twice"], "image", f"is twice in {source.metadata}; remove one of the two rows there"
    yield cells["one_hot_fault"], "target", "expected 1 in one class and 0 in the others; correct it or remove the row"
    texts = cells["target"].notna() & pd.to_numeric(cells["target"], errors="coerce").isna()
    yield texts, "target", WORD_FOR_TARGET
    yield (typed["target"] == UNLABELED) & (cells["role"] != "predict"), "target", WRONG_TARGET
    benign_malignant = cells["benign_malignant"].str.lower()
    diagnosis, target = words["diagnosis"]["word"], typed["target"]
    against = (benign_malignant == "benign") & (target == 1)
    against |= (benign_malignant == "malignant") & (target == 0) & (diagnosis.isna() | diagnosis.isin(BENIGN))
    yield against.fillna(False), "benign_malignant", "contradicts the target of the row; correct the one that is wrong"
    other = diagnosis.notna() & ~diagnosis.isin([MELANOMA, "malignant"])
    yield (diagnosis == MELANOMA) & (target == 0), "diagnosis", "contradicts target 0; correct the one that is wrong"
    yield other & (target == 1), "diagnosis", "contradicts target 1; correct the one that is wrong"
    unlabeled = cells["derived"] & (target == UNLABELED) & words["diagnosis"]["known"]
    for text in cells["diagnosis"][unlabeled].fillna("").unique():
        example = f"values: {{diagnosis: {{{json.dumps(text, ensure_ascii=False)}: other benign}}}}"
        yield (
            unlabeled & (cells["diagnosis"].fillna("") == text),
            "diagnosis",
            "does not tell whether this is a melanoma; fill it in, remove the row, or, if no such row is a melanoma, "
            f"say so in the source: {example}",
        )


def _repeated_images(cells: pd.DataFrame, target: pd.Series) -> Iterator[tuple[pd.Series, str, str]]:
    repeated = cells["image"].duplicated() & cells["image"].notna()
    labels = target.where(target.isin([0, 1])).groupby([cells["source"], cells["image"]])
    remedy = "is in several rows with different targets; remove the wrong ones"
    yield labels.transform("nunique") > 1, "image", f"this image {remedy}"
    first = cells.loc[cells["image"].isin(cells["image"][repeated]) & ~repeated].set_index("image")["source"]
    sources = cells["image"][repeated].map(first[~first.index.duplicated()]).reindex(cells.index)
    within = sources == cells["source"]
    yield repeated & within, "image", "this image is in an earlier row already; remove one of the two"
    for name in sources[repeated & ~within].unique():
        yield (
            repeated & ~within & (sources == name),
            "image",
            f"this image is in source {name} already; remove it from one of the two",
        )


def _unknown_words(cells: pd.DataFrame, words: dict[str, pd.DataFrame]) -> Iterator[tuple[pd.Series, str, str]]:
    """Yield the texts that are not in the vocabulary, each with the nearest word."""
    for column, texts in _unknown(cells, words).items():
        hints = nearest(texts, column)
        against = {text: contradiction(text) for text in texts} if column == "diagnosis" else {}
        for text, conflict in against.items():
            if conflict:
                yield cells[column] == text, column, f"its levels contradict each other: {conflict}; correct the row"
        for text, word in hints.items():
            hint = f"{EXPECTED[column]}; is {word!r} meant? correct it, leave it empty, or {GIVE_MEANING}"
            yield cells[column] == text, column, hint
        others = [text for text in texts if text not in hints and not against.get(text)]
        yield cells[column].isin(others), column, f"{EXPECTED[column]}; correct it, leave it empty, or {GIVE_MEANING}"


def _unknown(cells: pd.DataFrame, words: dict[str, pd.DataFrame]) -> dict[str, list[str]]:
    """Return the texts of each column of words that are not in the vocabulary."""
    return {column: cells[column][~translated["known"]].unique().tolist() for column, translated in words.items()}


def _placed(problems: pd.DataFrame, rows: pd.DataFrame, column: str, sources: list[SourceTable]) -> pd.DataFrame:
    """Add to the problems of one column their places: the table, its name of the column, and the row there."""
    places = {source.name: source.places.get(column) for source in sources}
    tables = {source.name: (places[source.name] or source.places["image"]).table for source in sources}
    names = {name: place.column if place else column for name, place in places.items()}
    metadata = rows["source"].map({name: bool(place and place.metadata) for name, place in places.items()})
    return pd.DataFrame(
        {
            "source": rows["source"],
            "table": rows["source"].map(tables),
            "row": rows["row"].mask(metadata & (rows["metadata_row"] > 0), rows["metadata_row"]),
            "image": rows["image"],
            "column": rows["source"].map(names),
            "value": rows[column],
            "problem": problems["problem"],
        }
    )


def _unknown_subgroups(data: Data, sources: list[SourceTable]) -> Iterator[str]:
    columns = list(dict.fromkeys(name for source in sources for name in source.columns))
    for name in data.subgroups:
        if name not in columns:
            yield f"data.subgroups: no table has a column {name}; the columns are: {', '.join(columns)}"


def _unusable_sources(sources: list[SourceTable], good: pd.DataFrame, incomplete: set[str]) -> Iterator[str]:
    targets = good.groupby("source")["target"]
    melanomas, images = targets.sum(), targets.size()
    for source in sources:
        n, m = int(images.get(source.name, 0)), int(melanomas.get(source.name, 0))
        if source.name not in incomplete and (n == 0 or (source.role in ("study", "test") and m in (0, n))):
            yield (
                f"source {source.name}: {m} melanomas among {n} usable images, expected both classes. "
                "Give the complete table, or join it with the table of another source"
            )
    if not any(source.role == "study" for source in sources):
        roles = ", ".join(sorted({source.role for source in sources}))
        yield f"data.sources: the only roles are {roles}. Give at least one source role study, to be split"


def _log_summary(catalog: pd.DataFrame, problems: pd.DataFrame, notes: pd.DataFrame) -> None:
    for name, rows in catalog.groupby("source", sort=False):
        counts = len(rows), (rows["target"] == 1).sum(), rows["patient"].nunique(), unit(rows)
        log.info("%s: %d images, %d melanomas, %d %ss", name, *counts)
    for note in notes.itertuples():
        value = f"{note.value!r} " if pd.notna(note.value) else ""
        log.info("%s: %s: %s%s", note.action, note.column, value, note.problem)
    if len(problems):
        log.warning("%s dropped:\n%s", row_count(problems.index.nunique()), describe(problems))
