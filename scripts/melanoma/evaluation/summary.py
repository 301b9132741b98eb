"""Test metrics as text: a table of all models, and the text of an interval in tables, figures and the report."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan
from typing import TYPE_CHECKING

from melanoma.data.units import weakest
from melanoma.evaluation.results import ModelMetrics

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
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if i < 4 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in [header, ["-" * width for width in widths], *rows]
    ]
    return "\n".join(line.rstrip() for line in [*lines, "", interval_note(metrics)]) + "\n"


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
