"""The data of the curves: for each model a few hundred thresholds with their counts, which the page draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.common.files import read_csv
from melanoma.evaluation.results import Curves, ModelMetrics, Reliability

if TYPE_CHECKING:  # the statistics load scipy.sparse, which the report need not
    from melanoma.stats.bootstrap import Interval

STEPS = 400  # thresholds of a model; a curve of more looks the same
REPLICATES = 500  # of a band
GRID = 51  # places of a band
Floats = NDArray[np.float64]


class Band(TypedDict):
    """Pointwise percentile intervals of a curve."""

    x: list[float]
    low: list[float]
    high: list[float]


class Operating(TypedDict):
    """The counts of a model at each threshold, falling: images with this probability or a higher one."""

    threshold: list[float]
    tp: list[int]
    fp: list[int]
    positives: int
    negatives: int


class ModelCurves(Operating):
    """What the page draws of a model. `rules` are thresholds that were selected out of fold."""

    name: str
    kind: str
    rules: dict[str, float]
    reached: dict[str, Interval]  # the sensitivity at each rule's threshold on the test set
    decision: dict[str, list[float]]
    benefit: list[list[float | None]]  # threshold probability, low and high bound of the net benefit
    reliability: dict[str, list[list[float | None]]]  # predicted, observed, low, high
    bands: NotRequired[dict[str, Band]]


def operating(target: NDArray[np.integer], probability: Floats, rules: Sequence[float]) -> Operating:
    """Return the counts at up to STEPS thresholds of the ROC curve, and at each threshold of `rules`.

    `target` and `probability` are (n,). The counts are those of `metrics.confusion`.
    """
    from melanoma.stats.metrics import outcomes_by_threshold

    false, true, falling = outcomes_by_threshold(target, probability)
    along = false / max(false[-1], 1) + true / max(true[-1], 1)
    chosen = np.unique(np.searchsorted(along, np.linspace(0, along[-1], STEPS))) if len(along) > STEPS else slice(None)
    thresholds = np.unique([*falling[chosen], *rules])[::-1]
    # How many of the distinct scores, falling, reach each threshold.
    reached = np.searchsorted(-falling, -thresholds, side="right")
    counts = [np.concatenate([[0], counted])[reached].astype(int).tolist() for counted in (true, false)]
    return {
        "threshold": thresholds.tolist(),
        "tp": counts[0],
        "fp": counts[1],
        "positives": int(true[-1]),
        "negatives": int(false[-1]),
    }


def bands(
    target: NDArray[np.integer], probability: Floats, clusters: NDArray[np.str_], level: float, seed: int
) -> dict[str, Band]:
    """Return pointwise bands of the ROC and of the precision-recall curve, from a bootstrap over clusters, (n,)."""
    from melanoma.stats.bootstrap import draw
    from melanoma.stats.metrics import outcomes_by_threshold

    _, _, falling = outcomes_by_threshold(target, probability)
    codes, names = pd.factorize(clusters)
    step = np.searchsorted(-falling, -probability)
    order = np.argsort(step, kind="stable")
    starts = np.searchsorted(step[order], np.arange(len(falling)))
    grid = np.linspace(0, 1, GRID)
    rates, precisions = [], []
    for weights in draw(len(names), REPLICATES, seed):
        drawn = weights[codes[order]]
        melanoma = (target[order] == 1)[:, None]
        true, false = (np.cumsum(np.add.reduceat(drawn * cls, starts), axis=0) for cls in (melanoma, ~melanoma))
        for hits, alarms in zip(true.T, false.T, strict=True):
            if hits[-1] and alarms[-1]:
                rates.append(np.interp(grid, np.append(0, alarms / alarms[-1]), np.append(0, hits / hits[-1])))
                first = np.searchsorted(hits / hits[-1], grid[1:])  # the first step that reaches each recall
                precisions.append(hits[first] / (hits[first] + alarms[first]))
    return {"roc": _band(grid, rates, level), "precision_recall": _band(grid[1:], precisions, level)}


def _band(x: Floats, curves: list[Floats], level: float) -> Band:
    low, high = np.quantile(curves, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return {"x": x.round(4).tolist(), "low": low.round(4).tolist(), "high": high.round(4).tolist()}


def model_curves(
    name: str, kind: str, points: Operating, entry: ModelMetrics, curve: Curves, reliability: Reliability | None
) -> ModelCurves:
    """Return what the page draws of a model."""
    known = entry.get("calibrated", entry)["net_benefit"]
    scales = reliability["reliability"] if reliability else {}
    return {
        "name": name,
        "kind": kind,
        "rules": {rule: cells["threshold"] for rule, cells in entry.get("thresholds", {}).items()},
        "reached": {rule: cells["sensitivity"] for rule, cells in entry.get("thresholds", {}).items()},
        "decision": {
            "x": _short(curve["decision"]["threshold"]),
            "y": _short(curve["decision"]["net_benefit"]),
        },
        "benefit": [[float(threshold), each["low"], each["high"]] for threshold, each in known.items()],
        "reliability": {
            scale: [
                [point["predicted"]["value"], *(point["observed"][key] for key in ("value", "low", "high"))]
                for point in bins
            ]
            for scale, bins in scales.items()
        },
        "threshold": points["threshold"],
        "tp": points["tp"],
        "fp": points["fp"],
        "positives": points["positives"],
        "negatives": points["negatives"],
    }


def _short(values: Sequence[float]) -> list[float]:
    return [float(f"{value:.5g}") for value in values]


def learning(histories: Mapping[str, Path]) -> dict[str, dict[str, dict[str, list[float | None]]]]:
    """Return the loss and the AUROC by epoch, by model and run, from files named MODEL:RUN."""
    curves: dict[str, dict[str, dict[str, list[float | None]]]] = {}
    for name, path in histories.items():
        model, _, run = name.partition(":")
        table = read_csv(path)
        columns = ("epoch", "train_loss", "train_auroc", "validation_loss", "validation_auroc")
        curves.setdefault(model, {})[run] = {
            column: [None if pd.isna(value) else float(f"{value:.5g}") for value in table[column]] for column in columns
        }
    return curves


def drawn(
    predictions: pd.DataFrame,
    metrics: Mapping[str, ModelMetrics],
    curves: Mapping[str, Curves],
    calibration: Mapping[str, Reliability],
    kinds: Mapping[str, str],
    selected: str,
) -> list[dict[str, Any]]:
    """Return what the page draws of all models, the selected model first and with bands.

    `predictions` has patient, target, and the probability of each model in a column of its name.
    """
    entries: list[dict[str, Any]] = []
    for name in sorted(metrics, key=lambda name: name != selected):
        if name not in predictions or name not in curves:
            continue
        rows = predictions[predictions[name].notna()]
        target, probability = rows["target"].to_numpy(np.int64), rows[name].to_numpy(np.float64)
        rules = [cells["threshold"] for cells in metrics[name].get("thresholds", {}).values()]
        points = operating(target, probability, rules)
        entry = model_curves(name, kinds[name], points, metrics[name], curves[name], calibration.get(name))
        if name == selected:
            settings = metrics[name]["bootstrap"]
            drawn_by = "patient" if rows["patient"].notna().all() else "image"
            clusters = rows[drawn_by].to_numpy(dtype=str)
            level, seed = settings["confidence_level"], settings["seed"]
            entry["bands"] = bands(target, probability, clusters, level, seed)
        entries.append(dict(entry))
    return entries
