"""The model card of a bundle, in the format of Hugging Face: YAML, then Markdown."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import yaml

from melanoma.bundle.contents import BundleFile
from melanoma.evaluation.results import GroupMetrics, ModelMetrics
from melanoma.evaluation.summary import interval_text

if TYPE_CHECKING:
    from melanoma.stats.bootstrap import Interval

TEMPLATE = """# {name}

A model of the study `{study}`. It gives the probability that a dermoscopic image shows a melanoma.

**Not a medical device.** Use it for research only. No clinical decision may rest on it.

## Intended use

- Ranking of dermoscopic images by the risk of melanoma, in research on data like those of the study.
- Not for: close-up photographs without a dermatoscope, lesions of nails and mucosa, children, and any population
  that the study does not have. `classify.py` warns of images whose size, sharpness, light or hair the training images
  did not have.

## Test results

On {n} images with {melanomas} melanomas{patients} that no part of the training has seen:

| metric | value | {level} confidence interval |
|---|---|---|
{rows}

{groups}Probabilities are for a prevalence of {prevalence:.1%}, that of the training images. `--prevalence` of
`classify.py` gives those for another one.

{coverage}## Data and licenses

The training images, by what their tables state. A license may also restrict the use of a model that was trained on
them.

{data}

## Contents

{models}

Versions: {versions}. SHA-256 of each file: `bundle.json`.

## Metadata

{columns}

## Thresholds

{thresholds}
"""
COVERAGE = """## Conformal sets

With `classify.py --error-rate`, the model abstains where its out-of-fold predictions exclude both classes or none. Sets
of one half of the out-of-fold patients, measured on the other half:

{table}

"""
COLUMNS = """It reads the image and {needs}. A value may be missing: `classify.py` warns of it, and the
prediction is less sure.

{table}"""
THRESHOLDS = """Each was chosen on the out-of-fold predictions of {images:,} images with {melanomas:,} melanomas. An
image counts as melanoma if its probability, before calibration, is at or above the threshold. In brackets: {level}
confidence intervals.

{table}"""
GROUPS = """Of its subgroups, with the rates at the threshold {rule}:

{table}

"""


def model_card(about: BundleFile, metrics: ModelMetrics, training: pd.DataFrame) -> str:
    """Return the text of README.md, from the entry of the model in metrics.json.

    `training` has the training images with source, patient, license and attribution.
    """
    front = {
        "license": "other",
        "library_name": "pytorch",
        "pipeline_tag": "image-classification",
        "tags": ["dermoscopy", "melanoma", *sorted(set(about["models"].values()))],
        "metrics": ["roc_auc", "average_precision", "brier_score"],
    }
    rows = [
        _row("AUROC", metrics["auroc"]),
        _row("average precision", metrics["average_precision"]),
        _row("Brier score", metrics["brier"]),
        _row("calibration error", metrics["ece"]),
    ]
    text = TEMPLATE.format(
        name=about["name"],
        study=about["study"],
        n=metrics["n"],
        melanomas=metrics["melanomas"],
        patients=f" of {metrics['units']} {metrics['unit']}s" if metrics["unit"] != "image" else "",
        level=_percent(metrics["bootstrap"]["confidence_level"]),
        rows="\n".join(rows),
        groups=_groups(metrics),
        prevalence=about["prevalence"],
        data=_data(training),
        coverage=_coverage(about),
        models="\n".join(f"- `{name}`: {kind}" for name, kind in about["models"].items()),
        columns=_columns(about["without"]),
        thresholds=_thresholds(about),
        versions=", ".join(f"{name} {version}" for name, version in about["versions"].items()),
    )
    return f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n\n{text}"


def _data(training: pd.DataFrame) -> str:
    """Return the numbers of images and patients by source, license and attribution, as a table."""
    keys = ["source", "license", "attribution"]
    known = training.assign(**training[keys].astype(object).fillna("not stated"))
    counts = known.groupby(keys, sort=False)["patient"].agg(["size", "nunique"]).reset_index()
    rows = [[*map(str, row[:3]), f"{row[3]:,}", f"{row[4]:,}" if row[4] else "unknown"] for row in counts.to_numpy()]
    return _table([*keys, "images", "patients"], rows)


def _coverage(about: BundleFile) -> str:
    """Return what is measured of the conformal sets, empty without it."""
    header = ["error rate", "melanoma excluded", "benign excluded", "abstained", "right where it does not abstain"]
    rows = [
        [f"{value:.1%}" if isinstance(value, float) else "unknown" for value in each.values()]
        for each in about.get("coverage", [])
    ]
    return COVERAGE.format(table=_table(header, rows)) if rows else ""


def _columns(without: dict[str, str]) -> str:
    """Return what an image without metadata counts as, by the column."""
    if not without:
        return "It reads the image alone. A table is not needed, except for the rank within a patient."
    rows = [[column, f"counts as {words}"] for column, words in without.items()]
    return COLUMNS.format(needs=", ".join(without), table=_table(["column", "an image without a value"], rows))


def _thresholds(about: BundleFile) -> str:
    """Return the thresholds with what they were chosen for, and with their rates."""
    if not about["chosen"]:
        return "It has no threshold."
    header = ["threshold", "probability", "chosen for", "out of fold: sensitivity", "specificity"]
    rows = []
    for rule, chosen in about["chosen"].items():
        rates, test = chosen["out_of_fold"], chosen["test"]
        out_of_fold = [f"{rates[name]:.3f}" for name in ("sensitivity", "specificity")]
        shown = [interval_text(test[name]) for name in ("sensitivity", "specificity")]
        rows.append([rule, f"{about['thresholds'][rule]:.4f}", chosen["purpose"], *out_of_fold, *shown])
    table = _table([*header, "test: sensitivity", "specificity"], rows)
    level = _percent(chosen["confidence_level"])
    return THRESHOLDS.format(images=chosen["images"], melanomas=chosen["melanomas"], level=level, table=table)


def _groups(metrics: ModelMetrics) -> str:
    """Return the metrics of the subgroups as a table, empty without subgroups."""
    if "subgroups" not in metrics:
        return ""
    header = ["subgroup", "images", "melanomas", "AUROC", "sensitivity", "specificity"]
    rows = [
        [f"{kind}: {name}", f"{group['n']:,}", f"{group['melanomas']:,}", *_group_intervals(group)]
        for kind, each in metrics["subgroups"]["kinds"].items()
        for name, group in each["groups"].items()
    ]
    return GROUPS.format(rule=metrics["subgroups"]["rule"], table=_table(header, rows))


def _group_intervals(group: GroupMetrics) -> list[str]:
    intervals = (group["auroc"], group.get("sensitivity"), group.get("specificity"))
    return ["unknown" if each is None or each["value"] is None else interval_text(each) for each in intervals]


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows))


def _row(label: str, metric: "Interval") -> str:
    return f"| {label} | {metric['value']:.3f} | {metric['low']:.3f} to {metric['high']:.3f} |"
