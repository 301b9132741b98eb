"""Proposes what a source could say in the configuration, for tables that cannot be read as they are."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pandas as pd

from melanoma.config.data import Columns
from melanoma.sources.layouts import SourceTable
from melanoma.tables.vocabulary import OTHER_CANCERS, contradiction, harmonize, propose

Values = dict[str, dict[str, dict[str, Any]]]  # source, column and word of the table: what the word means
# Words in the names of columns that are near to ours.
NEAR = {
    "patient": {"patient", "patientid", "patient_id", "subject", "subject_id", "pid"},
    "lesion": {"lesionid", "lesion_id"},
    "sex": {"sex", "gender"},
    "age": {"age", "ages"},
    "site": {"site", "sites", "location", "localization", "localisation", "region", "anatomy", "bodypart"},
    "diagnosis": {"diagnosis", "diagnostic", "dx"},
}


def proposed_values(cells: pd.DataFrame, words: dict[str, pd.DataFrame]) -> Values:
    """Propose `values` for each source: a meaning for each word that is not in the vocabulary, by source and column."""
    unknown = {column: ~translated["known"] for column, translated in words.items()}
    unknown |= {
        column: cells[column].notna() & pd.to_numeric(cells[column].str.rstrip("+"), errors="coerce").isna()
        for column in ("age", "target")
    }
    values: Values = {}
    for column, rows in unknown.items():
        for source, texts in cells[column][rows].groupby(cells["source"]):
            agreeing = [text for text in texts.unique() if column != "diagnosis" or not contradiction(text)]
            proposed = propose(agreeing, column)
            if proposed:
                values.setdefault(str(source), {})[column] = proposed
    return values


def meanings(values: Values) -> str:
    """Return the lines of YAML that give words their meaning, empty without any."""
    blocks = []
    for source, columns in values.items():
        texts = {column: json.dumps(words, ensure_ascii=False) for column, words in columns.items()}
        lines = "".join(f"\n    {column}: {words}" for column, words in texts.items())
        blocks.append(f"\n  name: {source}\n  values:{lines}")
    if not blocks:
        return ""
    return (
        "\nOr give words their meaning in the source; check each. A diagnosis may be any of docs/data.md, other benign,"
        f' other malignant or unknown, and "*" means all other words:{"".join(blocks)}'
    )


def malignancies(
    cells: pd.DataFrame, typed: pd.DataFrame, words: dict[str, pd.DataFrame], sources: list[SourceTable]
) -> Iterator[str]:
    """Yield the sources whose target is malignancy: each of several cancers that are no melanoma has 1."""
    for source in sources:
        rows = cells["source"] == source.name
        column = "diagnosis" if "diagnosis" in source.places else "unread_diagnosis"
        if "target" not in source.places or column not in source.places:
            continue
        diagnosis = (
            words["diagnosis"]["word"] if column == "diagnosis" else harmonize(cells[column], "diagnosis")["word"]
        )
        targets = typed["target"][rows & diagnosis.isin(OTHER_CANCERS)]
        if len(targets) > 1 and (targets == 1).all():
            place = source.places[column]
            yield (
                f"source {source.name}: {place.table}: {source.places['target'].column} is malignancy, not melanoma:"
                f" it is 1 for {len(targets)} other cancers in {place.column}, and 0 for none. "
                f"Let the diagnosis decide: {as_columns(source, {'diagnosis': place.column, 'target': None})}"
            )


def as_columns(source: SourceTable, changes: dict[str, str | None]) -> str:
    """Return the lines of YAML that read a source by the names of its columns, with some changes."""
    columns: dict[str, str | None] = {ours: place.column for ours, place in source.places.items()}
    names = {ours: name for ours, name in (columns | changes).items() if name and ours in Columns.model_fields}
    return f"layout: columns, columns: {json.dumps(names, ensure_ascii=False)}"


def missing_columns(source: SourceTable) -> dict[str, list[str]]:
    """Return our columns that the tables of a source lack, each with columns of the tables that may be meant.

    Age, sex and site are always told; another column is told only where a name is near.
    """
    read = {place.column for place in source.places.values()}
    unread = [name for name in source.columns if name not in read]
    near = {
        ours: [n for n in unread if names & {n.lower(), *re.split(r"[^a-z]+", n.lower())}]
        for ours, names in NEAR.items()
    }
    labeled = {"target", "diagnosis"} & set(source.places)
    return {
        ours: names
        for ours, names in near.items()
        if ours not in source.places and (names or ours in ("age", "sex", "site")) and (ours != "diagnosis" or labeled)
    }
