"""The catalog: all sources' tables as one, each row checked, each finding with its place and its remedy."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa

from melanoma.common.cli import log
from melanoma.common.errors import InputError, listing
from melanoma.data.layouts import Source, noting, read_source
from melanoma.data.vocabulary import BENIGN, MELANOMA, UNKNOWN, VOCABULARIES, harmonize, nearest

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
            pa.Check.isin([0, 1], error="expected 0 (benign) or 1 (melanoma); correct it or remove the row"),
        ),
        "source": pa.Column(str),
        "role": pa.Column(str, pa.Check.isin(["study", "extra_train"])),
        "file": pa.Column(str, nullable=True),
        "width": pa.Column(float, SIDE, nullable=True),
        "height": pa.Column(float, SIDE, nullable=True),
    },
    strict=True,
    ordered=True,
)
WORD_FOR_TARGET = (
    "expected 0 (benign) or 1 (melanoma); correct it, remove the row, or say under `values` of the source which word is"
    " which, as in target: {benign: 0, melanoma: 1}"
)
EMPTY = "is empty; fill it in or remove the row"
EXPECTED = {
    "sex": "expected male, female or nothing",
    "site": "expected a site of the vocabulary or nothing",
    "diagnosis": "expected a diagnosis of the vocabulary or nothing",
}
PROBLEM_COLUMNS = ["source", "table", "row", "image", "column", "value", "problem", "action"]
KINDS_SHOWN = 30


def build_catalog(settings: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read and check all sources; return the catalog, and what was dropped, normalized or warned of, and why.

    The catalog has one row per image, in table order, with the columns and types of SCHEMA; a problem that concerns
    a whole source has neither row nor image. `settings` holds `sources` (see read_source) and `on_bad_row` (fail or
    drop). Raises InputError that lists all findings at once: always where a source cannot be used as a whole, and
    with on_bad_row: fail where a single row is wrong.
    """
    sources: list[Source] = []
    faults: list[str] = []
    for given in settings["sources"]:
        with noting(faults):
            sources.append(read_source(given))
    if not sources:
        raise InputError("\n".join(faults))
    cells = join(sources)
    words = {column: harmonize(cells[column], vocabulary) for column, vocabulary in VOCABULARIES.items()}
    typed = canonical(cells, words)
    problems = find_problems(cells, typed, words, sources)
    if len(problems) and (faults or settings["on_bad_row"] == "fail"):
        faults.append(
            f"{_rows(problems.index.nunique())} cannot be used:\n{describe(problems)}\n"
            "Correct them, or set on_bad_row: drop to leave these rows out and list them in issues.csv."
        )
    kept = ~cells.index.isin(problems.index)
    # Whether a source is complete is not told by what is left where some of its rows are to be corrected.
    incomplete = set() if settings["on_bad_row"] == "drop" else set(problems["source"])
    faults += _unusable_sources(sources, typed[kept], incomplete)
    if faults:
        raise InputError("\n".join(faults))
    catalog = SCHEMA.validate(typed[kept].reset_index(drop=True))
    notes = pd.DataFrame(find_doubts(cells[kept], typed[kept], words, sources), columns=PROBLEM_COLUMNS)
    _log_summary(catalog, problems, notes)
    joined = [part for part in (problems.assign(action="dropped"), notes) if len(part)] or [notes]
    return catalog, pd.concat(joined, ignore_index=True).astype({"row": "Int64"})


def join(sources: list[Source]) -> pd.DataFrame:
    """Join the sources' cells, with columns source, role, derived (the target) and stands_in (for the patient).

    Where a source knows no patient, its lesion stands in, or the image itself, with the source's name before it.
    """
    tables = [
        source.cells.assign(
            source=source.name,
            role=source.role,
            derived="target" not in source.places,
            stands_in=source.cells["patient"].isna() & (not source.patient_required),
        )
        for source in sources
    ]
    cells = pd.concat(tables, ignore_index=True)
    instead = cells["source"] + ":" + cells["lesion"].fillna(cells["image"])
    return cells.assign(patient=cells["patient"].mask(cells["stands_in"], instead))


def canonical(cells: pd.DataFrame, words: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return `cells` in the columns and types of SCHEMA, with the vocabulary's `words`.

    An age or size that is no number becomes infinite, a target that is not 0 or 1 becomes -1, so that the schema
    rejects them: taken for missing they would slip through.
    """
    numbers = {column: _number(cells[column]) for column in ("age", "width", "height")}
    diagnosis = words["diagnosis"]["word"]
    target = pd.to_numeric(cells["target"], errors="coerce").astype(float)
    benign = diagnosis.notna() | (cells["benign_malignant"].str.lower() == "benign").fillna(False)
    from_diagnosis = np.where(diagnosis == MELANOMA, 1.0, np.where(benign, 0.0, -1.0))
    target = target.mask(cells["derived"], pd.Series(from_diagnosis, index=cells.index))
    return cells.assign(
        **{column: found["word"] for column, found in words.items()},
        **numbers,
        target=target.where(target.isin([0, 1]), -1).astype(np.int8),
    )[list(SCHEMA.columns)]


def find_problems(
    cells: pd.DataFrame, typed: pd.DataFrame, words: dict[str, pd.DataFrame], sources: list[Source]
) -> pd.DataFrame:
    """Check every row; return one row per wrong cell, indexed as `cells`.

    Columns: source, table, row (line in the file), image, column (the table's name for it), value, problem.
    """
    rules = [
        pd.DataFrame({"index": cells.index[broken], "column": column, "problem": problem})
        for broken, column, problem in [*_rules(cells, typed, words, sources), *_unknown_words(cells, words)]
    ]
    found = pd.concat([*rules, _against_schema(typed)])
    # A target that follows from the diagnosis has no cell of its own to be wrong; in a row of the wrong length every
    # cell may be another column's.
    own = cells.loc[found["index"].astype(int), ["derived", "fields"]]
    follows = (found["column"] == "target").to_numpy() & own["derived"].to_numpy()
    shifted = (found["column"] != "fields").to_numpy() & own["fields"].notna().to_numpy()
    found = found[~follows & ~shifted]
    found = found.drop_duplicates(["index", "column"]).sort_values("index", kind="stable").set_index("index")
    parts = [_placed(group, cells.loc[group.index], name, sources) for name, group in found.groupby("column")]
    if not parts:
        return pd.DataFrame(columns=PROBLEM_COLUMNS[:-1])
    return pd.concat(parts).sort_index(kind="stable")


def describe(problems: pd.DataFrame) -> str:
    """Say all problems, those of a kind together, each with its table, column, line, image and value."""
    kinds = []
    groups = problems.groupby(["table", "column", "problem"], sort=False)
    for (table, column, problem), rows in groups:
        if len(kinds) == KINDS_SHOWN:
            kinds.append(f"... and {groups.ngroups - KINDS_SHOWN} more kinds of problems")
            break
        word = "row" if str(table).endswith((".parquet", ".pq")) else "line"
        shown = [
            f"{word} {row.row}, image {row.image}" + (f": {row.value!r}" if pd.notna(row.value) else "")
            for row in rows.head(5).itertuples()
        ]
        more = f"\n  ... and {len(rows) - 5} more" if len(rows) > 5 else ""
        kinds.append(f"{table}: {column}: {problem} ({_rows(len(rows))})\n{listing(shown)}{more}")
    return "\n".join(kinds)


def find_doubts(
    cells: pd.DataFrame, typed: pd.DataFrame, words: dict[str, pd.DataFrame], sources: list[Source]
) -> Iterator[dict[str, Any]]:
    """Yield what was normalized and what is doubtful, once per source and kind, in the columns of the problems."""
    for source in sources:
        rows = cells[cells["source"] == source.name]
        own = typed.loc[rows.index]

        def note(column: str, value: Any, problem: str, action: str, source: Source = source) -> dict[str, Any]:
            place = source.places.get(column) or source.places["image"]
            name = place.column if column in source.places else column
            told = {"source": source.name, "table": place.table, "row": None, "image": None, "column": name}
            return told | {"value": value, "problem": problem, "action": action}

        for column, found in words.items():
            translated = found.loc[rows.index]
            pairs = pd.DataFrame({"theirs": rows[column], "ours": translated["word"]})[translated["alias"]]
            for (theirs, ours), count in pairs.groupby(["theirs", "ours"]).size().items():
                yield note(column, theirs, f"read as {ours!r} ({_rows(count)})", "normalized")
        if source.suffixes:
            yield note(
                "image", None, f"{_rows(source.suffixes)} with a suffix as .jpg, left out of the name", "normalized"
            )
        if rows["stands_in"].any():
            lesions = int((rows["stands_in"] & rows["lesion"].notna()).sum())
            images = int(rows["stands_in"].sum())
            told = f"{images} images without a patient: the lesion stands in for {lesions}, the image for the others"
            yield note("patient", None, f"{told}; one patient's images may be taken for several patients'", "warning")
        lacking = int((rows["metadata_row"] == -1).sum()) if source.metadata else 0
        if lacking:
            yield note("image", None, f"{_rows(lacking)} not in {source.metadata}, its columns are missing", "warning")
        for key, column in (("lesion", "patient"), ("lesion", "target"), ("patient", "sex")):
            several = own.groupby(key)[column].nunique()
            several = several.index[several > 1]
            if len(several):
                told = f"{len(several)} {key}(s) with more than one {column}, as {', '.join(several[:3])}"
                yield note(key, None, told, "warning")


def _number(texts: pd.Series) -> pd.Series:
    number = pd.to_numeric(texts, errors="coerce").astype(float)
    return number.mask(number.isna() & texts.notna(), np.inf)


def _rules(
    cells: pd.DataFrame, typed: pd.DataFrame, words: dict[str, pd.DataFrame], sources: list[Source]
) -> Iterator[tuple[pd.Series, str, str]]:
    """Yield what the schema cannot say, each rule as the rows that break it, the column and the problem."""
    yield (
        cells["fields"].notna(),
        "fields",
        "wrong number of fields; add the missing comma, or quote the text with one",
    )
    yield from _repeated_images(cells, typed["target"])
    for source in sources:
        own = (cells["source"] == source.name) & cells["image"].notna()
        remedy = "fetch the images, correct the folder, or remove the rows"
        if source.folders:
            yield own & cells["file"].isna(), "image", f"no such .jpg, .jpeg or .png in {source.folders}; {remedy}"
        yield own & cells["twice"], "image", f"is twice in {source.metadata}; remove one of the two rows there"
    yield cells["one_hot_fault"], "target", "expected 1 in one class and 0 in the others; correct it or remove the row"
    texts = cells["target"].notna() & pd.to_numeric(cells["target"], errors="coerce").isna()
    yield texts, "target", WORD_FOR_TARGET
    benign_malignant = cells["benign_malignant"].str.lower()
    diagnosis, target = typed["diagnosis"], typed["target"]
    against = (benign_malignant == "benign") & (target == 1)
    against |= (benign_malignant == "malignant") & (target == 0) & (diagnosis.isna() | diagnosis.isin(BENIGN))
    yield against.fillna(False), "benign_malignant", "contradicts the target of the row; correct the one that is wrong"
    other = diagnosis.notna() & (diagnosis != MELANOMA)
    yield (diagnosis == MELANOMA) & (target == 0), "diagnosis", "contradicts target 0; correct the one that is wrong"
    yield other & (target == 1), "diagnosis", "contradicts target 1; correct the one that is wrong"
    unlabeled = cells["derived"] & (target == -1) & words["diagnosis"]["known"]
    yield unlabeled, "diagnosis", "does not tell whether this is a melanoma; fill it in or remove the row"


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
    """Yield the texts that no vocabulary has, each with the word that was probably meant."""
    for column, found in words.items():
        unknown = ~found["known"]
        meant = nearest(cells[column][unknown].unique(), VOCABULARIES[column])
        remedy = "correct it, map it under `values` of the source, or leave it empty"
        for text, word in meant.items():
            hint = f"is {word!r} meant? " if word != UNKNOWN else ""
            yield unknown & (cells[column] == text), column, f"{EXPECTED[column]}; {hint}{remedy}"
        yield unknown & ~cells[column].isin(list(meant)), column, f"{EXPECTED[column]}; {remedy}"


def _against_schema(typed: pd.DataFrame) -> pd.DataFrame:
    try:
        SCHEMA.validate(typed, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases.astype({"index": int})
        return cases.assign(problem=cases["check"].replace("not_nullable", EMPTY))[["index", "column", "problem"]]
    return pd.DataFrame({"index": np.zeros(0, int), "column": "", "problem": ""})


def _placed(found: pd.DataFrame, rows: pd.DataFrame, column: str, sources: list[Source]) -> pd.DataFrame:
    """Add to the problems of one column where they stand: the table, its name for the column, and the row there."""
    places = {source.name: source.places.get(column) for source in sources}
    tables = {s.name: (places[s.name] or s.places["image"]).table for s in sources}
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
            "problem": found["problem"],
        }
    )


def _unusable_sources(sources: list[Source], good: pd.DataFrame, incomplete: set[str]) -> Iterator[str]:
    targets = good.groupby("source")["target"]
    melanomas, images = targets.sum(), targets.size()
    for source in sources:
        n, m = int(images.get(source.name, 0)), int(melanomas.get(source.name, 0))
        if source.name not in incomplete and (n == 0 or (source.role == "study" and m in (0, n))):
            yield (
                f"source {source.name}: {m} melanomas among {n} usable images, expected both classes. "
                "Give the complete table, or join it with that of another source"
            )
    if not any(source.role == "study" for source in sources):
        yield "data.sources: every source has role extra_train. Give at least one of them role study, to be split"


def _log_summary(catalog: pd.DataFrame, problems: pd.DataFrame, notes: pd.DataFrame) -> None:
    for name, rows in catalog.groupby("source", sort=False):
        counts = len(rows), rows["target"].sum(), rows["patient"].nunique()
        log.info("%s: %d images, %d melanomas, %d patients", name, *counts)
    for note in notes.itertuples():
        value = f"{note.value!r} " if pd.notna(note.value) else ""
        log.info("%s: %s: %s%s", note.action, note.column, value, note.problem)
    if len(problems):
        log.warning("%s dropped:\n%s", _rows(problems.index.nunique()), describe(problems))


def _rows(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} rows"
