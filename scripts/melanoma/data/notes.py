"""Notes on a catalog: what was normalized and what is doubtful, once for each source and kind."""

from collections.abc import Iterator

import pandas as pd

from melanoma.data.catalog_schema import Issue, row_count
from melanoma.data.proposals import as_columns, missing_columns
from melanoma.sources.layouts import MALIGNANCY, SourceTable
from melanoma.tables.vocabulary import AT_LEAST


def find_notes(cells: pd.DataFrame, words: dict[str, pd.DataFrame], sources: list[SourceTable]) -> Iterator[Issue]:
    """Yield what was normalized and what is a warning, once for each source and kind."""
    for source in sources:
        rows = cells[cells["source"] == source.name]

        def note(column: str, value: str | None, problem: str, action: str, source: SourceTable = source) -> Issue:
            place = source.places.get(column) or source.places["image"]
            return Issue(
                source=source.name,
                table=place.table,
                row=None,
                image=None,
                column=place.column if column in source.places else column,
                value=value,
                problem=problem,
                action=action,
            )

        for column, all_words in words.items():
            translated = all_words.loc[rows.index]
            pairs = pd.DataFrame({"theirs": rows[column], "ours": translated["word"]})[translated["alias"]]
            for (theirs, ours), count in pairs.groupby(["theirs", "ours"]).size().items():
                yield note(column, theirs, f"read as {ours!r} ({row_count(count)})", "normalized")
        for column, problem, action in source.notes:
            yield note(column, None, problem, action)
        if MALIGNANCY in {place.column for place in source.places.values()}:
            yield note(
                "benign_malignant", None, "target is malignancy, so the diagnosis decides what is a melanoma", "warning"
            )
        at_least = rows["age"].dropna().str.fullmatch(AT_LEAST)
        for age, count in rows["age"].dropna()[at_least].value_counts().items():
            yield note("age", age, f"read as {age.rstrip('+ ')} ({row_count(count)})", "normalized")
        if source.suffixes:
            yield note(
                "image",
                None,
                f"{row_count(source.suffixes)} with a suffix such as .jpg, which is no part of the name",
                "normalized",
            )
        if rows["stands_in"].any():
            lesions = int((rows["stands_in"] & rows["lesion"].notna()).sum())
            images = int(rows["stands_in"].sum())
            problem = (
                f"{images} images without a patient: the lesion stands in for {lesions}, the image for the others;"
                " images of one patient may count as those of several patients"
            )
            yield note("patient", None, problem, "warning")
        unmatched = int((rows["metadata_row"] == -1).sum()) if source.metadata else 0
        if unmatched:
            yield note(
                "image", None, f"{row_count(unmatched)} not in {source.metadata}: its columns are missing", "warning"
            )
        missing = missing_columns(source)
        named = as_columns(source, {column: names[0] for column, names in missing.items() if names})
        for column, names in missing.items():
            hint = f"; is {' or '.join(names)} meant? Then name it: {named}" if names else ""
            yield note(
                column, None, f"the tables have no such column: missing for all {row_count(len(rows))}{hint}", "warning"
            )


def unnamed_files(files: pd.Series, sources: list[SourceTable]) -> Iterator[Issue]:
    """Yield a warning for each source that has image files which no row of any source names."""
    named = frozenset(files.dropna())
    for source in sources:
        unnamed = source.files - named
        if unnamed:
            place = source.places["image"]
            yield Issue(
                source=source.name,
                table=place.table,
                row=None,
                image=None,
                column=place.column,
                value=None,
                problem=f"{len(unnamed)} image file(s) that no row names, such as {min(unnamed)}",
                action="warning",
            )
