"""Test metrics in words: a table of all models, and intervals as the table, the figures and the report say them."""

from math import isnan
from typing import Any


def summary(metrics: dict[str, Any]) -> str:
    """Return the test metrics of each model as a table of aligned columns, with a line on the intervals."""
    header = ["model", "AUROC", "average precision", "images", "melanomas", "patients"]
    rows = [
        [
            name,
            interval_text(entry["auroc"]),
            interval_text(entry["average_precision"]),
            f"{entry['n']:,}",
            f"{entry['melanomas']:,}",
            "unknown" if entry["patients"] is None else f"{entry['patients']:,}",
        ]
        for name, entry in metrics.items()
    ]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(w) if i < 3 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in [header, ["-" * width for width in widths], *rows]
    ]
    return "\n".join(line.rstrip() for line in [*lines, "", interval_note(metrics)]) + "\n"


def interval_text(interval: dict[str, float | None]) -> str:
    """Return 'value [low, high]' with four digits, without the bounds where no replicate had both classes."""
    if interval["low"] is None or isnan(interval["low"]):
        return f"{interval['value']:.4f}"
    return f"{interval['value']:.4f} [{interval['low']:.4f}, {interval['high']:.4f}]"


def interval_note(metrics: dict[str, Any]) -> str:
    """Return one sentence that says how the intervals were made."""
    made = [entry["bootstrap"] for entry in metrics.values()]
    clusters = " or ".join(sorted({entry["clusters"] + "s" for entry in made}))
    left_out = sum(entry["degenerate_replicates"] for entry in made)
    note = (
        f"In brackets: {made[0]['confidence_level']:.0%} accelerated percentile intervals over "
        f"{made[0]['replicates']:,} bootstrap resamples of {clusters}"
    )
    return note + (f"; {left_out} resamples of a single class left out." if left_out else ".")
