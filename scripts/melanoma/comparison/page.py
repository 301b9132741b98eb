"""The comparison of two studies as text for a terminal and as one HTML page."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from melanoma.comparison.finished import Finished
from melanoma.comparison.options import differences
from melanoma.comparison.pairs import ModelPair, common_test, model_pairs
from melanoma.data.units import count_units, unit
from melanoma.split.given import read_saved
from melanoma.split.overlap import overlap
from melanoma.stats.bootstrap import Interval

HEADER = ("models", "first AUROC", "second AUROC", "difference", "p, patients", "p, DeLong")


def render(first: Finished, second: Finished) -> tuple[str, str]:
    """Return the comparison of two studies as text and as HTML."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"interval": interval, "p": p_value}
    pairs, options = model_pairs(first, second), differences(first.options, second.options)
    size = _size(first, second)
    values = {
        "first": first,
        "second": second,
        "confidence": f"{100 * first.evaluate.confidence_level:g} %",
        "size": size,
        "pairs": pairs,
        "splits": overlap(*(read_saved(study.folder / "split/split.parquet") for study in (first, second))).to_dict(
            "records"
        ),
        "differences": options,
    }
    text = [
        f"first: {first.name} ({first.folder})",
        f"second: {second.name} ({second.folder})",
        size,
        "",
        *_aligned([HEADER, *map(_row, pairs)]),
        "",
        "Options that differ (first | second):",
        *([f"{each.option}: {each.first} | {each.second}" for each in options] or ["none"]),
    ]
    return "\n".join(text) + "\n", environment.get_template("compare.html.j2").render(values)


def interval(bounds: Interval) -> str:
    """Return 'value [low, high]' with three digits; the value alone without an interval."""
    if bounds["low"] is None or bounds["high"] is None:
        return f"{bounds['value']:.3f}"
    return f"{bounds['value']:.3f} [{bounds['low']:.3f}, {bounds['high']:.3f}]"


def p_value(value: float) -> str:
    """Return a p value with three digits."""
    return "< .001" if value < 0.001 else f"{value:.3f}"


def _row(pair: ModelPair) -> tuple[str, ...]:
    label = pair.label if pair.models[0] == pair.models[1] else f"{pair.label}: {' and '.join(pair.models)}"
    p = (pair.test["bootstrap"]["p"], pair.test["delong"]["p"])
    return (label, *map(interval, (*pair.auroc, pair.test["difference"])), *map(p_value, p))


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _size(first: Finished, second: Finished) -> str:
    """Return how many test images are compared, and how many of each study are not."""
    images = common_test(first, second)
    kind = unit(images)
    units = "" if kind == "image" else f" of {count_units(images):,} {kind}s"
    text = f"Common test images: {len(images):,}{units}, {int(images['target'].sum()):,} melanomas."
    only = [len(next(iter(study.test.values()))) - len(images) for study in (first, second)]
    if not any(only):
        return text
    return (
        f"{text} The tests are not the same: {only[0]:,} test images of the first study and {only[1]:,} of the second"
        " are left out."
    )
