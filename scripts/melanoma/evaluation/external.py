"""External tests: each external source is a test set of its own, by what was decided inside the study."""

import math
from collections.abc import Mapping
from typing import cast

import pandas as pd

from melanoma.config.study import Evaluate
from melanoma.evaluation.decisions import Decisions
from melanoma.evaluation.evaluate import evaluate
from melanoma.evaluation.results import Drop, ExternalMetrics, ModelMetrics
from melanoma.predictions.table import join_labels
from melanoma.stats.bootstrap import Interval


def evaluate_external(
    predictions: Mapping[str, pd.DataFrame],
    images: pd.DataFrame,
    labels: pd.DataFrame,
    settings: Evaluate,
    decisions: Mapping[str, Decisions],
    study: Mapping[str, ModelMetrics],
) -> dict[str, dict[str, ExternalMetrics]]:
    """Return the content of external.json: the entry of each model, by source.

    `predictions` are those of each model for the `images` of external tests. A model that lacks an image of a source
    has no entry there: its metrics could not be compared. `images` has image and the metadata of subgroups, `labels`
    has image, target, unit and source. `study` has the entry of each model in metrics.json; a model without one has no
    drop.
    """
    tests: dict[str, dict[str, ExternalMetrics]] = {}
    for source, truth in labels.groupby("source", sort=False):
        rows = images[images["image"].isin(truth["image"])]
        whole = {name: table for name, table in predictions.items() if rows["image"].isin(table["image"]).all()}
        tables = {name: _known(table, rows, truth, name) for name, table in whole.items()}
        entries = evaluate(tables, settings, decisions) if tables else {}
        tests[str(source)] = {name: _with_drop(entry, study.get(name)) for name, entry in entries.items()}
    return tests


def drop(before: Interval, after: Interval) -> Interval:
    """Return before minus after, of two independent sets of patients, with its interval; NaN where there is none.

    Each end is as far from the difference as the square root of the summed squares of the two distances that add up to
    it (Zou and Donner, Statistics in Medicine 27:1693, 2008). So the intervals need not be symmetric.
    """
    (first, first_low, first_high), (second, second_low, second_high) = map(_numbers, (before, after))
    value = first - second
    low = value - math.hypot(first - first_low, second_high - second)
    high = value + math.hypot(first_high - first, second - second_low)
    return {"value": value, "low": low, "high": high}


def _known(table: pd.DataFrame, images: pd.DataFrame, labels: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the predictions of the `images` with labels and metadata."""
    rows = table[table["image"].isin(images["image"])]
    rows = join_labels(rows, labels.drop(columns="source"), name)
    kept = ["image", *(column for column in images if column not in rows or column == "source")]
    return rows.drop(columns="source").merge(images[kept], on="image", how="left", validate="1:1")


def _numbers(interval: Interval) -> tuple[float, float, float]:
    """Return value, low and high, NaN for those that there are not."""
    value, low, high = (
        math.nan if end is None else end for end in (interval["value"], interval["low"], interval["high"])
    )
    return value, low, high


def _with_drop(entry: ModelMetrics, study: ModelMetrics | None) -> ExternalMetrics:
    external = cast(ExternalMetrics, entry)
    if study is not None:
        external["drop"] = {"internal_test": _drop(study, entry)}
        if "validation" in study:
            external["drop"]["out_of_fold"] = _drop(study["validation"], entry)
    return external


def _drop(before: ModelMetrics, after: ModelMetrics) -> Drop:
    rules = before.get("thresholds", {}), after.get("thresholds", {})
    return {
        "auroc": drop(before["auroc"], after["auroc"]),
        "average_precision": drop(before["average_precision"], after["average_precision"]),
        "brier": drop(before["brier"], after["brier"]),
        "thresholds": {
            rule: {
                "sensitivity": drop(rates["sensitivity"], rules[1][rule]["sensitivity"]),
                "specificity": drop(rates["specificity"], rules[1][rule]["specificity"]),
            }
            for rule, rates in rules[0].items()
            if rule in rules[1]
        },
    }
