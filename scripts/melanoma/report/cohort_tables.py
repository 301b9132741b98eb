"""The tables of further cohorts: subgroups, patients, lesions, referral, prevalence, external tests, corruptions.

Each is left out where metrics.json has no such entry.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from melanoma.report.result_tables import bound, least_decimals, rule_name
from melanoma.report.tables import Cell, Column, Table, decimals, unless_few, value_of

CALIBRATION = {
    "calibration_slope": "Calibration slope",
    "calibration_intercept": "Calibration intercept",
    "observed_expected": "Observed / expected",
    "ici": "ICI",
    "adaptive_ece": "Adaptive ECE",
}
GROUP = {
    "auroc": "AUROC",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "PPV",
    "calibration_slope": "Calibration slope",
    "observed_expected": "Observed / expected",
}
HISTOLOGY = "confirmed by histology"  # a part of the images, not one of several groups
Metrics = Mapping[str, Any]


class Weakest(TypedDict):
    """The subgroup with the lowest value of a metric, of `groups` groups. `p` tests whether the AUROC differs.

    `n` and `melanomas` are counts, or texts in place of counts that must not be shown.
    """

    variable: str
    group: str
    n: Cell
    melanomas: Cell
    value: Cell
    groups: int
    p: float | None


def cohort_tables(metrics: Metrics, external: Metrics | None, shown: str, selected: str | None) -> dict[str, Table]:
    """Return the tables that the metrics of the models, and those of external tests by source, have the values of."""
    entry = metrics[shown]
    tables = [
        recalibration(metrics, selected),
        subgroups(entry, shown),
        units(entry, shown),
        selective(entry, shown),
        at_prevalence(metrics, selected),
        external_tests(external or {}, selected, list(metrics)),
    ]
    return {table.name: table for table in tables if table is not None}


def recalibration(metrics: Metrics, selected: str | None) -> Table | None:
    """Return slope, intercept and further measures of the calibrated probabilities; raw ones without a calibrator."""
    digits = least_decimals(metrics)
    blocks = {name: entry.get("calibrated", entry) for name, entry in metrics.items()}
    rows: list[list[Cell]] = [
        [name, *(block.get(key) for key in CALIBRATION)]
        for name, block in blocks.items()
        if "calibration_slope" in block
    ]
    columns = [Column("model", "Model"), *(Column(key, text, "number", digits) for key, text in CALIBRATION.items())]
    caption = "Calibration on the test set, after calibration. Perfect: slope and ratio 1, intercept 0."
    return Table("recalibration", caption, columns, rows, selected) if rows else None


def subgroups(entry: Metrics, model: str) -> Table | None:
    """Return the metrics of a model on the whole test set and in each subgroup.

    For each variable, there is a test of heterogeneity of the AUROC. A rate of a group with few images is not shown.
    """
    found = entry.get("subgroups")
    if not found:
        return None
    whole = entry | entry.get("calibrated", {}) | entry.get("thresholds", {}).get(found["rule"], {})
    rows: list[list[Cell]] = [["all", "whole test set", *_group(whole), None]]
    for kind, content in found["kinds"].items():
        p = content["heterogeneity"].get("auroc", {}).get("p_holm")
        for group, values in content["groups"].items():
            rows.append([kind.replace("_", " "), group, *_group(values), p])
    if "histology" in entry:
        rows.append(["diagnosis", HISTOLOGY, *_group(entry["histology"]), None])
    columns = [
        Column("variable", "Variable"),
        Column("group", "Group"),
        Column("n", "Images", "count"),
        Column("melanomas", "Melanomas", "count"),
        *(Column(key, heading, "number", 2) for key, heading in GROUP.items()),
        Column("p_heterogeneity", "p, AUROC differs", "p"),
    ]
    areas = [row[4] for row in rows]
    lows = [bound(area) for area in areas if value_of(area) is not None]
    rule = f" Rates are at the threshold {rule_name(found['rule'])}." if found["rule"] else ""
    caption = f"{model} in subgroups on the test set.{rule} p values are corrected by Holm's method."
    return Table("subgroups", caption, columns, rows, bars="auroc", axis=(int(min([0.5, *lows]) * 10) / 10, 1.0))


def _group(values: Metrics) -> list[Cell]:
    melanomas, benign = values["melanomas"], values["n"] - values["melanomas"]
    images = {"sensitivity": melanomas, "specificity": benign}
    rates = [unless_few(values.get(key), images.get(key, min(melanomas, benign))) for key in GROUP]
    return [values["n"], melanomas, *rates]


def weakest(table: Table | None, metric: str) -> Weakest | None:
    """Return the group with the lowest `metric` in the table of subgroups; None if fewer than two groups have a value.

    Images whose group is missing are not a group.
    """
    if table is None:
        return None
    keys = [column.key for column in table.columns]
    records = [dict(zip(keys, row, strict=True)) for row in table.rows]
    known = [
        record
        for record in records
        if record["variable"] != "all"
        and record["group"] not in (HISTOLOGY, "missing")
        and value_of(record.get(metric)) is not None
    ]
    if len(known) < 2:
        return None
    lowest = min(known, key=lambda record: value_of(record[metric]) or 0.0)
    return {
        "variable": lowest["variable"],
        "group": lowest["group"],
        "n": lowest["n"],
        "melanomas": lowest["melanomas"],
        "value": lowest[metric],
        "groups": len(known),
        "p": lowest.get("p_heterogeneity"),
    }


def units(entry: Metrics, model: str) -> Table | None:
    """Return the metrics of a model by patient and by lesion."""
    rows: list[list[Cell]] = []
    for unit in ("patients", "lesions"):
        if unit not in entry:
            continue
        found = entry[unit]
        for rule, rates in (found.get("thresholds") or {"": {}}).items():
            with_melanoma, without = found["melanomas"], found["n"] - found["melanomas"]
            area = unless_few(found["auroc"], min(with_melanoma, without))
            counts = [found["n"], with_melanoma, area]
            rows.append([unit, *counts, rule_name(rule), rates.get("sensitivity"), rates.get("specificity")])
    columns = [
        Column("unit", "Unit"),
        Column("n", "Number", "count"),
        Column("melanomas", "With melanoma", "count"),
        Column("auroc", "AUROC", "number", 2),
        Column("rule", "Threshold"),
        Column("sensitivity", "Sensitivity", "number", 2),
        Column("specificity", "Specificity", "number", 2),
    ]
    caption = (
        f"{model} by patient (the highest probability of the images) and by lesion (the mean of the images), test set."
    )
    return Table("units", caption, columns, rows) if rows else None


def selective(entry: Metrics, model: str) -> Table | None:
    """Return the metrics of the images that are kept if the most uncertain ones are referred to a physician."""
    found = entry.get("selective")
    if not found:
        return None
    rows = [[point[key] for key in ("coverage", "n", "melanomas", "auroc", "accuracy")] for point in found["points"]]
    by = {
        "spread": "spread of the logit over seeds and folds",
        "views": "spread of the probability over the views of test-time augmentation",
        "margin": "distance to the threshold",
    }[found["by"]]
    columns = [
        Column("coverage", "Share of images kept", "number", 2),
        Column("n", "Images", "count"),
        Column("melanomas", "Melanomas", "count"),
        Column("auroc", "AUROC", "number", 2),
        Column("accuracy", "Accuracy", "number", 2),
    ]
    caption = f"{model} if the most uncertain images are referred to a physician. Uncertainty: {by}."
    return Table("selective", caption, columns, rows)


def at_prevalence(metrics: Metrics, selected: str | None) -> Table | None:
    """Return average precision, PPV and NPV at the prevalence of the configuration."""
    rows: list[list[Cell]] = []
    for name, entry in metrics.items():
        if "at_prevalence" not in entry:
            continue
        found = entry["at_prevalence"]
        for rule, rates in (found.get("thresholds") or {"": {}}).items():
            values = [found["average_precision"], rule_name(rule), rates.get("ppv"), rates.get("npv")]
            reached = entry.get("thresholds", {}).get(rule, {})
            rows.append([name, found["prevalence"], *values, reached.get("sensitivity"), reached.get("specificity")])
    columns = [
        Column("model", "Model"),
        Column("prevalence", "Prevalence", "short"),
        Column("average_precision", "Average precision", "number", 3),
        Column("rule", "Threshold"),
        Column("ppv", "PPV", "number", 3),
        Column("npv", "NPV", "number", 3),
        Column("sensitivity", "Sensitivity", "number", 3),
        Column("specificity", "Specificity", "number", 3),
    ]
    caption = "Results at the prevalence of the place where the model would be used (evaluate.prevalence)."
    return Table("at_prevalence", caption, columns, rows, selected, searched=len(rows) > 8) if rows else None


def external_tests(tests: Metrics, selected: str | None, models: Sequence[str]) -> Table | None:
    """Return the results on external test sets, and by how much the AUROC of the internal test is higher.

    The caption names the `models` that have no result.
    """
    rows: list[list[Cell]] = []
    for source, metrics in tests.items():
        for name, entry in metrics.items():
            drop = entry.get("drop", {}).get("internal_test")
            differs = drop["auroc"] if drop else None
            rows.append([name, source, entry["n"], entry["melanomas"], entry["auroc"], differs, entry["brier"]])
    digits = min((decimals(row[3]) for row in rows), default=3)
    columns = [
        Column("model", "Model"),
        Column("source", "External test"),
        Column("n", "Images", "count"),
        Column("melanomas", "Melanomas", "count"),
        Column("auroc", "AUROC", "number", digits),
        Column("drop", "Internal minus external AUROC", "signed", digits),
        Column("brier", "Brier score", "number", digits + 1),
    ]
    caption = "Results on external test sets: sources of which no image was used to train or select a model."
    for source, metrics in tests.items():
        if lacking := [name for name in models if name not in metrics]:
            caption += f" No result on {source}: {', '.join(lacking)} (external predictions that lack its images)."
    return Table("external", caption, columns, rows, selected, bars="auroc", searched=True) if rows else None


def robustness(results: Metrics, selected: str | None, digits: int) -> Table | None:
    """Return the AUROC of each network on the test images as they are, and on corrupted ones by severity."""
    rows: list[list[Cell]] = []
    severities: list[str] = []
    for name, entry in results.items():
        for corruption, areas in entry["corrupted"].items():
            severities = list(areas)
            rows.append([name, corruption.replace("_", " "), entry["original"], *areas.values()])
    columns = [
        Column("model", "Model"),
        Column("corruption", "Corruption"),
        Column("original", "AUROC, images as they are", "number", digits),
        *(Column(f"severity_{severity}", f"At severity {severity}", "number", digits) for severity in severities),
    ]
    caption = "AUROC on corrupted images of the test set."
    return Table("robustness", caption, columns, rows, selected, searched=len(rows) > 8) if rows else None
