"""A shareable report: no photograph, no name, and no count of 1 to 9 or what would give one back.

Counts that add up to a known total are all left out if one of them is small, so that none can be computed from the
others. Numbers have the digits of the page: a rate with all digits tells the counts that it was divided from.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from melanoma.common.errors import InputError
from melanoma.common.files import read_parquet
from melanoma.report.cohort_tables import GROUP
from melanoma.report.contents import Data
from melanoma.report.data_tables import Share
from melanoma.report.result_tables import RATES
from melanoma.report.tables import Cell, Table, value_of

SMALL = 10  # the least count that is shown, beside 0
FEW, HIDDEN = f"<{SMALL}", "hidden"
SHORT_NAME = 4  # a name of fewer characters is often a part of a word or of a number
# Tables whose counts can be subtracted from those of other tables or of each other.
OMITTED = ("parts", "missing_values", "selective", "at_prevalence", "shortcuts_out_of_fold", "subgroups_out_of_fold")
CURVES = ("roc", "precision_recall")
FIGURES = ("schedules",)
Record = dict[str, Cell]


def is_small(count: int | None) -> bool:
    """Tell whether a count may be of people that can be recognized."""
    return count is not None and 0 < count < SMALL


def masked(counts: Sequence[int]) -> list[Cell]:
    """Return counts that add up to a known total; if one is small, all are hidden.

    A small one is "<10". If the total leaves too little for the others, this would tell its value: then it is "hidden",
    too.
    """
    small = [is_small(count) for count in counts]
    return hidden(counts) if any(small) else list(counts)


def hidden(counts: Sequence[int]) -> list[Cell]:
    """Return what stands for counts of a known total, none of which may be shown."""
    small = [is_small(count) for count in counts]
    others = sum(count for count, few in zip(counts, small, strict=True) if not few)
    # With so many others, each small count can be anything from 1 to 9.
    told = others >= SMALL + (SMALL - 2) * sum(small)
    return [FEW if few and told else HIDDEN for few in small]


def is_safe_rate(rate: Cell, total: int) -> bool:
    """Tell whether neither the images that a rate counts nor the other ones of `total` are few."""
    value = value_of(rate)
    return value is None or not (is_small(hits := round(value * total)) or is_small(total - hits))


def check_size(entries: Iterable[Mapping[str, Any]]) -> None:
    """Raise InputError if a set of images has under 10 melanomas, benign images or patients."""
    for entry in entries:
        counts = {"melanomas": entry["melanomas"], "benign images": entry["n"] - entry["melanomas"]}
        for what, count in (counts | {f"{entry['unit']}s": entry["units"]}).items():
            if count < SMALL:
                raise InputError(
                    f"report.shareable: the study has a set of images with fewer than {SMALL} {what}. Its results would"
                    " be those of a few people, so no shareable report can be written; set report.shareable: false"
                )


def _models(records: list[Record]) -> None:
    for record in records:
        melanomas, benign = record["melanomas"], record["n"] - record["melanomas"]
        for key, total in (("sensitivity_at_90_specificity", melanomas), ("specificity_at_90_sensitivity", benign)):
            record[key] = record[key] if is_safe_rate(record[key], total) else None


def _thresholds(records: list[Record]) -> None:
    for record in records:
        pairs = [("tp", "fn"), ("fp", "tn")]
        if any(is_small(record[key]) for pair in pairs for key in pair):
            for pair in pairs:
                record |= dict(zip(pair, masked([record[key] for key in pair]), strict=True))
            record |= dict.fromkeys(RATES)


def _alone(keys: Sequence[str]) -> Callable[[list[Record]], None]:
    """Return the rule of rows that are no parts of a whole, with the values `keys` of their own images."""

    def rule(records: list[Record]) -> None:
        for record in records:
            images, melanomas = record["n"], record["melanomas"]
            benign = images - melanomas
            if any(map(is_small, (images, melanomas, benign))):
                record |= {key: FEW if is_small(record[key]) else HIDDEN for key in ("n", "melanomas")}
                record |= dict.fromkeys(keys)
            for key, total in (("sensitivity", melanomas), ("specificity", benign)):
                if key in record and not is_safe_rate(record[key], total):
                    record |= dict.fromkeys(("sensitivity", "specificity"))

    return rule


def _shortcuts(records: list[Record]) -> None:
    for record in records:
        ranked = record["ranked"]
        if ranked and (is_small(ranked) or not is_safe_rate(record["ranked_first"], ranked)):
            record |= {"ranked": FEW if is_small(ranked) else HIDDEN, "ranked_first": None, "by_chance": None}


def _subgroups(whole: Mapping[str, int]) -> Callable[[list[Record]], None]:
    """Return the rule of subgroups of `whole`. The groups of one variable are shown or hidden together."""

    def rule(records: list[Record]) -> None:
        for _, group in groupby(records, key=lambda record: record["variable"]):
            _hide_groups(list(group), whole)

    return rule


def _hide_groups(records: list[Record], whole: Mapping[str, int]) -> None:
    counts = [(record["n"], record["melanomas"], record["n"] - record["melanomas"]) for record in records]
    few = [any(map(is_small, (*each, record.get("units")))) for each, record in zip(counts, records, strict=True)]
    rest = {key: whole[key] - sum(record[key] for record in records) for key in ("n", "melanomas")}
    totals = [(melanomas, benign) for _, melanomas, benign in counts]
    rates = [key for key in ("sensitivity", "specificity", "ppv") if key in records[0]]
    risky = any(few) or any(map(is_small, (*rest.values(), rest["n"] - rest["melanomas"])))
    if risky:
        for key, remainder in rest.items():
            for record, cell in zip(records, hidden([*(record[key] for record in records), remainder]), strict=False):
                record[key] = cell
        for record, is_few in zip(records, few, strict=True):
            record |= {"units": HIDDEN} if "units" in record else {}
            record |= dict.fromkeys(key for key in GROUP if key in record) if is_few else {}
    unsafe = any(
        not is_safe_rate(record.get(key), total)
        for record, each in zip(records, totals, strict=True)
        for key, total in zip(("sensitivity", "specificity"), each, strict=True)
    )
    if risky or unsafe:
        for record in records:
            record |= dict.fromkeys(rates)


def _table_one(records: list[Record]) -> None:
    """Hide shares. The patients of a class are left out: some may have images of both classes."""
    records[:] = [record for record in records if record["characteristic"] != "Patients"]
    for _, group in groupby(records, key=lambda record: record["characteristic"].partition(":")[0]):
        block = list(group)
        for key, first in block[0].items():
            if isinstance(first, Share):
                counts = [record[key].images for record in block]
                shown = masked([*counts, first.total - sum(counts)])
                for record, cell in zip(block, shown, strict=False):
                    record[key] = cell if isinstance(cell, str) else record[key]


def _counts(key: str, known_total: bool) -> Callable[[list[Record]], None]:
    def rule(records: list[Record]) -> None:
        counts = [int(record[key]) for record in records]
        cells = masked(counts) if known_total else [FEW if is_small(count) else count for count in counts]
        for record, cell in zip(records, cells, strict=True):
            record[key] = cell

    return rule


def shareable_table(table: Table, whole: Mapping[str, int]) -> Table:
    """Return a table without small counts and what would give them back. `whole` are the counts of the test set."""
    rules: dict[str, Callable[[list[Record]], None]] = {
        "models": _models,
        "thresholds": _thresholds,
        "subgroups": _subgroups(whole),
        "units": _alone(["auroc"]),
        "external": _alone(["auroc", "drop", "brier"]),
        "shortcuts": _shortcuts,
        "table_1": _table_one,
        "licenses": _counts("images", known_total=True),
        "issues": _counts("rows", known_total=False),
        "leaks": _counts("count", known_total=False),
    }
    keys = [column.key for column in table.columns]
    records = [dict(zip(keys, row, strict=True)) for row in table.rows]
    if table.name in rules:
        rules[table.name](records)
    digits = {column.key: column.digits for column in table.columns if column.kind in ("number", "signed")}
    rows = [[_rounded(record[key], digits.get(key)) for key in keys] for record in records]
    return replace(table, rows=rows)


def _rounded(cell: Cell, digits: int | None) -> Cell:
    if digits is None or cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, Mapping):
        return {key: _rounded(value, digits) for key, value in cell.items()}
    return round(cell, digits)


def coarse(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the curves of a model with steps of at least 10 melanomas and 10 benign images, or none of a class.

    Calibration and decision curves have a point for each few images, so they are left out.
    """
    ends = [(0, 0), *zip(model["tp"], model["fp"], strict=True)]
    last = len(ends) - 1
    kept = [0]
    for step in range(1, last):
        if _far(ends[kept[-1]], ends[step]) and _far(ends[step], ends[last]):
            kept.append(step)
    places = [step - 1 for step in [*kept[1:], last]]
    steps = {key: [model[key][place] for place in places] for key in ("threshold", "tp", "fp")}
    rules = {rule: threshold for rule, threshold in model["rules"].items() if threshold in steps["threshold"]}
    reached = {rule: model["reached"][rule] for rule in rules}
    left_out = {"decision": {"x": [], "y": []}, "benefit": [], "reliability": {}}
    return {**model, **steps, "rules": rules, "reached": reached, **left_out}


def _far(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return not any(is_small(abs(a - b)) for a, b in zip(one, other, strict=True))


def without_names(names: Iterable[object]) -> Callable[[str], str]:
    """Return a function that replaces `names` of images, patients and lesions in a text by "..."."""
    texts = {str(name) for name in names}
    known = {part for text in texts for part in (text, text.rpartition(":")[2]) if len(part) >= SHORT_NAME}

    def cleaned(text: str) -> str:
        there = sorted((name for name in known if name in text), key=len, reverse=True)
        return re.sub(rf"(?<!\w)({'|'.join(map(re.escape, there))})(?!\w)", "...", text) if there else text

    return cleaned


def make_shareable(content: dict[str, Any], data: Data, names: Iterable[object]) -> None:
    """Take out of the page, in place, what a shareable report must not have.

    `names` are those of the images, patients and lesions. Raises InputError if the study is too small.
    """
    metrics, selected = content["metrics"], content["selected_model"]
    check_size([*metrics.values(), *([selected] if selected else [])])
    whole = metrics[content["shown"]]
    tables = content["tables"].items()
    content["tables"] = {
        name: None if table is None or name in OMITTED else shareable_table(table, whole) for name, table in tables
    }
    content["issues"] = content["issues"] and [shareable_table(table, whole) for table in content["issues"]]
    content["figures"] = {name: each for name, each in content["figures"].items() if name in FIGURES}
    content["curve_texts"] = [text for text in content["curve_texts"] if text[0] in CURVES]
    content |= dict.fromkeys(("flow", "quality", "gallery"))
    if content["explained"]:
        content["explained"]["cases"] = []
    if content["leakage"]:
        content["leakage"]["others"] = {}
        content["leakage"]["notices"] = content["leakage"]["notices"] and ["The other report of this study lists them."]
    clean = without_names(names)
    content |= {key: clean(content[key]) for key in ("config", "command")}
    content["recipes"] = [
        {**recipe, "text": clean(recipe["text"]), "path": clean(str(recipe["path"]))} for recipe in content["recipes"]
    ]
    if not is_safe_rate(content["found"], whole["melanomas"]):
        content["found"] = None
    if any(is_small(content["at_threshold"][cell]) for cell in ("tp", "fp", "fn", "tn") if content["at_threshold"]):
        content["at_threshold"] = None
    data["models"] = [coarse(model) for model in data["models"]]
    data["patients"], data["thumbnails"] = [], []


def known_names(catalog: Path | None) -> set[str]:
    """Return the names of the images, patients and lesions of a catalog, Parquet."""
    table = read_parquet(catalog) if catalog else pd.DataFrame()
    columns = [table[column].dropna().astype(str) for column in ("image", "patient", "lesion") if column in table]
    return {name for column in columns for name in column}
