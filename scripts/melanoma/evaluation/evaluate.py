"""Evaluation of predictions: metrics with confidence intervals over patients, calibration and comparisons."""

from collections.abc import Mapping
from dataclasses import asdict
from itertools import pairwise
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.common.errors import InputError, listing
from melanoma.config.study import Evaluate
from melanoma.evaluation.cohorts import clusters_drawn, cohorts, count_images, labeled, pair, resampling
from melanoma.evaluation.decisions import Decisions
from melanoma.evaluation.patients import lesion_metrics, patient_metrics
from melanoma.evaluation.results import AtThreshold, Comparisons, ModelMetrics, Reliability
from melanoma.evaluation.selective import selective
from melanoma.evaluation.subgroups import confirmed_metrics, subgroup_metrics
from melanoma.stats.bootstrap import Estimate, estimate
from melanoma.stats.comparison import common_images, compare
from melanoma.stats.metrics import Bin, Calibration, Floats, Measure, NetBenefit, Outcomes, Ranking, auroc, confusion
from melanoma.stats.prevalence import CASE_CONTROL, NetBenefitAt, OutcomesAt, RankingAt
from melanoma.stats.recalibration import CalibrationCurve, Recalibration

Place = tuple[str, ...]  # the keys from the entry of a model down to the metrics of a measure
LEAST_IMAGES = 10  # in the smallest bin of a reliability curve, unless there are ties
MOST_BINS = 8


def evaluate(
    tables: Mapping[str, pd.DataFrame], settings: Evaluate, decisions: Mapping[str, Decisions] | None = None
) -> dict[str, ModelMetrics]:
    """Return the content of metrics.json: the entry of each model, in the order of `tables`.

    A table has labeled predictions: image, patient, probability and target (see `table.read_predictions`), unit if it
    is known (see `units.row_units`), and the columns of `subgroups.METADATA` that are known. Only with decisions, an
    entry has `thresholds` and `calibrated`.
    """
    decided = {name: (decisions or {}).get(name, Decisions()) for name in tables}
    entries = _entries(tables, settings, decided)
    for name, table in tables.items():
        entries[name] = cast(ModelMetrics, entries[name] | _details(table, decided[name], settings))
    return entries


def _details(table: pd.DataFrame, decisions: Decisions, settings: Evaluate) -> dict[str, Any]:
    """Return the metrics of parts of the images, and of patients and lesions, each where it is known."""
    found = {
        "subgroups": subgroup_metrics(table, decisions, settings),
        "histology": confirmed_metrics(table, decisions, settings),
        "patients": patient_metrics(table, decisions, settings),
        "lesions": lesion_metrics(table, decisions, settings),
        "selective": selective(table, decisions, settings),
    }
    return {name: metrics for name, metrics in found.items() if metrics is not None}


def _entries(
    tables: Mapping[str, pd.DataFrame], settings: Evaluate, decisions: Mapping[str, Decisions]
) -> dict[str, ModelMetrics]:
    """Return the metrics of all images of each model."""
    entries: dict[str, ModelMetrics] = {}
    for group in cohorts(tables):
        placed = {name: _measures(*labeled(table, name), decisions[name], settings) for name, table in group.items()}
        for name, estimates in _estimate(placed, group, settings).items():
            entries[name] = _entry(group[name], estimates, settings, decisions[name])
    return {name: entries[name] for name in tables}


def validate(tables: Mapping[str, pd.DataFrame], settings: Evaluate) -> dict[str, ModelMetrics]:
    """Return the metrics of labeled out-of-fold predictions of all folds together, and the AUROC of each fold."""
    named = {f"{name}, out of fold": table for name, table in tables.items()}
    entries = _entries(named, settings, dict.fromkeys(named, Decisions()))
    for entry, table in zip(entries.values(), tables.values(), strict=True):
        folds = {str(fold): float(auroc(*pair(rows))) for fold, rows in table.groupby("fold")}
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
                ((*(place or ("raw",)), str(number)), Bin(pair(table)[0], probability, members))
                for place, probability in _scales(pair(table)[1], decisions[name]).items()
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


def _measures(
    target: NDArray[np.int8], probability: Floats, decisions: Decisions, settings: Evaluate
) -> list[tuple[Place, Measure]]:
    """Return the measures of a model and their places in its entry; the ranking is the first."""
    measures: list[tuple[Place, Measure]] = [((), Ranking(target, probability))]
    for place, values in _scales(probability, decisions).items():
        measures.append((place, Calibration(target, values)))
        measures.append((place, Recalibration(target, values)))
        measures.append((place, CalibrationCurve(target, values)))
        measures.append(((*place, "net_benefit"), NetBenefit(target, values, settings.threshold_probabilities)))
    for rule, threshold in decisions.thresholds.items():
        measures.append((("thresholds", rule), Outcomes(target, probability, threshold)))
    if settings.prevalence is not None:
        measures += _at_prevalence(target, probability, decisions, settings, settings.prevalence)
    return measures


def _at_prevalence(
    target: NDArray[np.int8], probability: Floats, decisions: Decisions, settings: Evaluate, prevalence: float
) -> list[tuple[Place, Measure]]:
    """Return the measures at a stated prevalence, and their places."""
    measures: list[tuple[Place, Measure]] = [(("at_prevalence",), RankingAt(target, probability, prevalence))]
    for place, values in _scales(probability, decisions).items():
        benefit = NetBenefitAt(target, values, settings.threshold_probabilities, prevalence)
        measures.append((("at_prevalence", *place, "net_benefit"), benefit))
    for rule, threshold in decisions.thresholds.items():
        outcomes = OutcomesAt(target, probability, threshold, prevalence)
        measures.append((("at_prevalence", "thresholds", rule), outcomes))
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
    estimates = estimate(measures, pair(first)[0], clusters_drawn(first)[1], **resampling(settings))
    return {name: [(place, estimates[name, i]) for i, (place, _) in enumerate(each)] for name, each in placed.items()}


def _entry(
    table: pd.DataFrame,
    estimates: list[tuple[Place, dict[str, Estimate]]],
    settings: Evaluate,
    decisions: Decisions,
) -> ModelMetrics:
    # The keys of the measures are not known to the type checker.
    entry = cast(ModelMetrics, count_images(table) | _nested(estimates))
    for rule, threshold in decisions.thresholds.items():
        counts = {cell: int(count) for cell, count in asdict(confusion(*pair(table), threshold)).items()}
        rates = entry["thresholds"][rule]
        entry["thresholds"][rule] = cast(AtThreshold, {"threshold": threshold, **counts, **rates})
        if rule in decisions.intended:
            entry["thresholds"][rule]["intended"] = decisions.intended[rule]
    if settings.prevalence is not None:
        sampled = entry["melanomas"] / entry["n"]
        entry["at_prevalence"]["prevalence"] = settings.prevalence
        entry["at_prevalence"]["sampled"] = sampled
        entry["at_prevalence"]["case_control"] = sampled >= CASE_CONTROL * settings.prevalence
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
