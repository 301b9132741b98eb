"""Test metrics as text: a table of all models, and the text of an interval in tables, figures and the report."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan
from typing import TYPE_CHECKING

from melanoma.data.units import weakest
from melanoma.evaluation.results import ExternalMetrics, ModelMetrics

if TYPE_CHECKING:
    from melanoma.stats.bootstrap import Interval


def summary(metrics: Mapping[str, ModelMetrics]) -> str:
    """Return the test metrics of each model as a table of aligned columns, with a note on the intervals."""
    unit = weakest(metrics).replace("image", "patient")  # images are counted in any case
    header = ["model", "AUROC", "out-of-fold AUROC", "average precision", "images", "melanomas", f"{unit}s"]
    rows = [
        [
            name,
            interval_text(entry["auroc"]),
            interval_text(entry["validation"]["auroc"]) if "validation" in entry else "none",
            interval_text(entry["average_precision"]),
            f"{entry['n']:,}",
            f"{entry['melanomas']:,}",
            "unknown" if entry["unit"] == "image" else f"{entry['units']:,}",
        ]
        for name, entry in metrics.items()
    ]
    return "\n".join([*_aligned(header, rows, texts=4), "", interval_note(metrics)]) + "\n"


def external_summary(
    tests: Mapping[str, Mapping[str, ExternalMetrics]], study: Mapping[str, ModelMetrics] | None = None
) -> str:
    """Return a table for each external test.

    With the metrics of the study, its AUROC stand beside, and its models without a result are named.
    """
    texts: list[str] = []
    for source, metrics in tests.items():
        lacking = [name for name in study or {} if name not in metrics]
        note = f"No result on {source}: {', '.join(lacking)}. Their external predictions lack images of this source."
        if not metrics:
            texts += [note, ""]
            continue
        first = next(iter(metrics.values()))
        texts.append(f"External test {source}: {first['n']:,} images, {first['melanomas']:,} melanomas")
        header = ["model", "AUROC", "internal test", "out of fold", "drop from the internal test"]
        rows = []
        for name, entry in metrics.items():
            inside = (study or {}).get(name)
            dropped = entry["drop"]["internal_test"]["auroc"] if "drop" in entry else None
            known = [
                entry["auroc"],
                inside["auroc"] if inside else None,
                inside["validation"]["auroc"] if inside and "validation" in inside else None,
                dropped,
            ]
            rows.append([name, *("unknown" if each is None else interval_text(each) for each in known)])
        texts += [*_aligned(header, rows, texts=5), "", interval_note(metrics), *([note] if lacking else []), ""]
    return "\n".join(texts)


def _aligned(header: list[str], rows: list[list[str]], texts: int) -> list[str]:
    """Return the lines of a table. Its first `texts` columns are aligned to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i < texts else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [header, ["-" * width for width in widths], *rows]
    ]


def interval_text(interval: Interval) -> str:
    """Return 'value [low, high]' with four digits, and without the bounds if there is no interval."""
    if interval["low"] is None or isnan(interval["low"]):
        return f"{interval['value']:.4f}"
    return f"{interval['value']:.4f} [{interval['low']:.4f}, {interval['high']:.4f}]"


def apart(metrics: Mapping[str, ModelMetrics]) -> list[str]:
    """Return the models whose confidence intervals of the AUROC on the test and out of fold do not overlap."""
    return [
        name
        for name, entry in metrics.items()
        if "validation" in entry and _disjoint(entry["auroc"], entry["validation"]["auroc"])
    ]


def _disjoint(one: Interval, other: Interval) -> bool:
    """Tell whether two intervals have no value in common; without bounds (null, NaN) they are not known to."""
    if one["low"] is None or one["high"] is None or other["low"] is None or other["high"] is None:
        return False
    return one["high"] < other["low"] or other["high"] < one["low"]


def interval_note(metrics: Mapping[str, ModelMetrics]) -> str:
    """Return a sentence on the confidence intervals."""
    bootstraps = [entry["bootstrap"] for entry in metrics.values()]
    clusters = " or ".join(sorted({entry["clusters"] + "s" for entry in bootstraps}))
    degenerate = sum(entry["degenerate_replicates"] for entry in bootstraps)
    note = (
        f"In brackets: {bootstraps[0]['confidence_level']:.0%} confidence intervals (accelerated percentile) from"
        f" {bootstraps[0]['replicates']:,} bootstrap replicates of {clusters}"
    )
    return note + (f"; {degenerate} replicates of a single class are left out." if degenerate else ".")
