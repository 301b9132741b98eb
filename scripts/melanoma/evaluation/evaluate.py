"""Evaluation of predictions: metrics with confidence intervals over patients, calibration and comparisons."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.common.errors import InputError, listing
from melanoma.config.study import Evaluate
from melanoma.data.units import count_units, unit
from melanoma.evaluation.results import AtThreshold, BootstrapSettings, Comparisons, Counts, ModelMetrics, Reliability
from melanoma.stats.bootstrap import Estimate, estimate
from melanoma.stats.calibration import Choice, choose_calibrator
from melanoma.stats.comparison import common_images, compare
from melanoma.stats.metrics import Bin, Calibration, Floats, Measure, NetBenefit, Outcomes, Ranking, auroc, confusion
from melanoma.stats.thresholds import choose_thresholds

Place = tuple[str, ...]  # the keys from the entry of a model down to the metrics of a measure
LEAST_IMAGES = 10  # in the smallest bin of a reliability curve, unless there are ties
MOST_BINS = 8


@dataclass(frozen=True)
class Decisions:
    """What is decided on out-of-fold predictions: thresholds by rule, and a calibrator."""

    thresholds: dict[str, float] = field(default_factory=dict)
    calibration: Choice | None = None

    def calibrated(self, probability: Floats) -> Floats:
        """Return calibrated probabilities; without a calibrator they are the same."""
        return probability if self.calibration is None else self.calibration.calibrator.apply(probability)


def decide(
    out_of_fold: pd.DataFrame, name: str, settings: Evaluate, training_prevalence: float | None = None
) -> Decisions:
    """Return the thresholds and the calibrator that labeled out-of-fold predictions give.

    Never give predictions of the test. `name` is the model, for error messages. `training_prevalence` is the share of
    melanomas that the training saw; without it a prior shift is no candidate.
    """
    target, probability = labeled(out_of_fold, f"{name}, out of fold")
    _, clusters = clusters_drawn(out_of_fold)
    choice = choose_calibrator(target, probability, clusters, training_prevalence, settings.seed)
    return Decisions(choose_thresholds(target, probability, settings.target_sensitivity), choice)


def evaluate(
    tables: Mapping[str, pd.DataFrame], settings: Evaluate, decisions: Mapping[str, Decisions] | None = None
) -> dict[str, ModelMetrics]:
    """Return the content of metrics.json: the entry of each model, in the order of `tables`.

    A table has labeled predictions: image, patient, probability and target (see `table.read_predictions`), and unit if
    it is known (see `units.row_units`). Only with decisions, an entry has `thresholds` and `calibrated`.
    """
    decisions = {name: (decisions or {}).get(name, Decisions()) for name in tables}
    entries: dict[str, ModelMetrics] = {}
    for group in cohorts(tables):
        placed = {name: _measures(*labeled(table, name), decisions[name], settings) for name, table in group.items()}
        for name, estimates in _estimate(placed, group, settings).items():
            entries[name] = _entry(group[name], estimates, settings, decisions[name].thresholds)
    return {name: entries[name] for name in tables}


def validate(tables: Mapping[str, pd.DataFrame], settings: Evaluate) -> dict[str, ModelMetrics]:
    """Return the metrics of labeled out-of-fold predictions of all folds together, and the AUROC of each fold."""
    entries = evaluate({f"{name}, out of fold": table for name, table in tables.items()}, settings)
    for entry, table in zip(entries.values(), tables.values(), strict=True):
        folds = {str(fold): float(auroc(*_pair(rows))) for fold, rows in table.groupby("fold")}
        entry["fold_auroc"] = {fold: None if np.isnan(value) else value for fold, value in folds.items()}
    return dict(zip(tables, entries.values(), strict=True))


def reliability(
    tables: Mapping[str, pd.DataFrame], settings: Evaluate, decisions: Mapping[str, Decisions]
) -> dict[str, Reliability]:
    """Return the content of calibration.json: the calibrator of each model, and reliability curves of `tables`."""
    entries: dict[str, Reliability] = {name: {"reliability": {}} for name in tables}
    for name in tables:
        if (choice := decisions[name].calibration) is not None:
            entries[name] = {**choice.as_dict(), "reliability": {}}
    for group in cohorts(tables):
        placed: dict[str, list[tuple[Place, Measure]]] = {
            name: [
                ((*(place or ("raw",)), str(number)), Bin(_pair(table)[0], probability, members))
                for place, probability in _scales(_pair(table)[1], decisions[name]).items()
                for number, members in enumerate(reliability_bins(probability))
            ]
            for name, table in group.items()
        }
        for name, estimates in _estimate(placed, group, settings).items():
            curves = {scale: list(bins.values()) for scale, bins in _nested(estimates).items()}
            entries[name]["reliability"] = curves
    return entries


def comparisons(tables: Mapping[str, pd.DataFrame], settings: Evaluate) -> Comparisons:
    """Return the content of comparisons.json: each pair of models, compared on the images that all models predict.

    Raises InputError if two tables have different labels for an image.
    """
    common = common_images(dict(tables))
    first_name, first = next(iter(common.items()))
    for name, table in common.items():
        different = first.loc[(table["target"] != first["target"]).to_numpy(), "image"]
        if len(different):
            raise InputError(
                f"{first_name} and {name} have different labels for {len(different)} images:\n{listing(different)}\n"
                "Give all models the labels of one file (--labels)"
            )
    clustered, clusters = clusters_drawn(first)
    target = first["target"].to_numpy(dtype=np.int8)
    scores = {name: table["probability"].to_numpy() for name, table in common.items()}
    comparable = len(common) > 1 and len(np.unique(target)) == 2
    return {
        **count_images(first),
        "clusters": clustered,
        "confidence_level": settings.confidence_level,
        "pairs": compare(target, scores, clusters, **resampling(settings)) if comparable else [],
    }


def cohorts(tables: Mapping[str, pd.DataFrame]) -> list[dict[str, pd.DataFrame]]:
    """Group the models by the images, patients and labels that they predict; each table is sorted by image."""
    groups: dict[tuple[int, int], dict[str, pd.DataFrame]] = {}
    for name, table in tables.items():
        rows = pd.util.hash_pandas_object(table[["image", "patient", "target"]], index=False)
        ordered = table.sort_values("image", ignore_index=True)
        groups.setdefault((len(table), int(rows.sum())), {})[name] = ordered
    return list(groups.values())


def reliability_bins(probability: Floats) -> list[NDArray[np.bool_]]:
    """Return the bins of a reliability curve, bool (n,) each, by rising probability.

    Each bin has half as many images as the one before, because melanomas are rare. Images with the same probability are
    in the same bin, and no bin is empty.
    """
    count = int(np.clip(np.log2(len(probability) / LEAST_IMAGES), 0, MOST_BINS - 1))
    levels = 1 - 0.5 ** np.arange(1, count + 1)
    inner = np.quantile(probability, levels, method="lower")
    edges = [-np.inf, *np.unique(inner), np.inf]
    bins = [(low < probability) & (probability <= high) for low, high in pairwise(edges)]
    return [members for members in bins if members.any()]


def resampling(settings: Evaluate) -> BootstrapSettings:
    """Return the settings of the bootstrap."""
    return {
        "replicates": settings.replicates,
        "confidence_level": settings.confidence_level,
        "seed": settings.seed,
    }


def count_images(predictions: pd.DataFrame) -> Counts:
    """Count images, melanomas and units."""
    return {
        "n": len(predictions),
        "melanomas": int(predictions["target"].sum()),
        "unit": unit(predictions),
        "units": count_units(predictions),
    }


def clusters_drawn(predictions: pd.DataFrame) -> tuple[str, NDArray[np.str_]]:
    """Return what the bootstrap draws, the unit, and its name for each row, (n,). An empty patient is an image."""
    column = "patient" if predictions["patient"].notna().all() else "image"
    return unit(predictions), predictions[column].to_numpy(dtype=str)


def labeled(predictions: pd.DataFrame, name: str) -> tuple[NDArray[np.int8], Floats]:
    """Return target int8 (n,) and probability float64 (n,).

    Raises InputError if there are no rows, if a label is missing, or if a class is missing.
    """
    if predictions.empty:
        raise InputError(f"{name}: no rows to evaluate (part 'test'); predict the test images first")
    if predictions["target"].isna().any():
        raise InputError(f"{name}: an image has no label; give a file of labels (image, target), or a column target")
    target, probability = _pair(predictions)
    if target.min() == target.max():
        kind = "melanoma" if target[0] else "benign"
        raise InputError(f"{name}: all {len(target)} images are {kind}: an AUROC needs both classes; check the labels")
    return target, probability


def _measures(
    target: NDArray[np.int8], probability: Floats, decisions: Decisions, settings: Evaluate
) -> list[tuple[Place, Measure]]:
    """Return the measures of a model and their places in its entry; the ranking is the first."""
    measures: list[tuple[Place, Measure]] = [((), Ranking(target, probability))]
    for place, values in _scales(probability, decisions).items():
        measures.append((place, Calibration(target, values)))
        measures.append(((*place, "net_benefit"), NetBenefit(target, values, settings.threshold_probabilities)))
    for rule, threshold in decisions.thresholds.items():
        measures.append((("thresholds", rule), Outcomes(target, probability, threshold)))
    return measures


def _scales(probability: Floats, decisions: Decisions) -> dict[Place, Floats]:
    """Return the raw and, with a calibrator, the calibrated probabilities by the place of their metrics."""
    scales: dict[Place, Floats] = {(): probability}
    if decisions.calibration is not None:
        scales["calibrated",] = decisions.calibrated(probability)
    return scales


def _estimate(
    placed: Mapping[str, list[tuple[Place, Measure]]], group: Mapping[str, pd.DataFrame], settings: Evaluate
) -> dict[str, list[tuple[Place, dict[str, Estimate]]]]:
    """Estimate all measures of models that predict the same images, with the same draws of patients."""
    first = next(iter(group.values()))
    measures = {(name, i): measure for name, each in placed.items() for i, (_, measure) in enumerate(each)}
    estimates = estimate(measures, _pair(first)[0], clusters_drawn(first)[1], **resampling(settings))
    return {name: [(place, estimates[name, i]) for i, (place, _) in enumerate(each)] for name, each in placed.items()}


def _entry(
    table: pd.DataFrame,
    estimates: list[tuple[Place, dict[str, Estimate]]],
    settings: Evaluate,
    thresholds: dict[str, float],
) -> ModelMetrics:
    # The keys of the measures are not known to the type checker.
    entry = cast(ModelMetrics, count_images(table) | _nested(estimates))
    for rule, threshold in thresholds.items():
        counts = {cell: int(count) for cell, count in asdict(confusion(*_pair(table), threshold)).items()}
        rates = entry["thresholds"][rule]
        entry["thresholds"][rule] = cast(AtThreshold, {"threshold": threshold, **counts, **rates})
    (_, ranking), *_ = estimates
    entry["bootstrap"] = {
        **resampling(settings),
        "clusters": clusters_drawn(table)[0],
        "degenerate_replicates": ranking["auroc"].undefined,
    }
    return entry


def _nested(estimates: list[tuple[Place, dict[str, Estimate]]]) -> dict[str, Any]:
    """Return the intervals of all metrics as nested dictionaries."""
    entry: dict[str, Any] = {}
    for place, metrics in estimates:
        block = entry
        for key in place:
            block = block.setdefault(key, {})
        block |= {name: metric.bounds for name, metric in metrics.items()}
    return entry


def _pair(predictions: pd.DataFrame) -> tuple[NDArray[np.int8], Floats]:
    return predictions["target"].to_numpy(dtype=np.int8), predictions["probability"].to_numpy()
