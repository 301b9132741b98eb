"""The evaluation of predictions: metrics with patient-clustered intervals, comparisons, and a table to read."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from melanoma.common.errors import InputError, listing
from melanoma.stats.bootstrap import Estimate, estimate
from melanoma.stats.calibration import Choice, choose_calibrator
from melanoma.stats.comparison import common_images, compare
from melanoma.stats.metrics import Bin, Calibration, Measure, NetBenefit, Outcomes, Ranking, auroc, confusion
from melanoma.stats.thresholds import choose_thresholds

Place = tuple[str, ...]  # of a metric in the model's entry, from the outside in
LEAST_IMAGES = 10  # in the smallest bin of a reliability curve, as far as ties allow
MOST_BINS = 8


@dataclass(frozen=True)
class Settings:
    """How predictions are evaluated.

    replicates, confidence_level (0 to 1) and seed make the intervals; target_sensitivity is that of the
    fixed-sensitivity threshold; net benefit is given at the threshold_probabilities.
    """

    replicates: int = 2000
    confidence_level: float = 0.95
    seed: int = 1
    target_sensitivity: float = 0.9
    threshold_probabilities: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1, 0.2)

    def __post_init__(self) -> None:
        """Refuse values that nothing can be evaluated with."""
        if self.replicates < 1 or not 0 < self.confidence_level < 1:
            raise InputError(f"replicates must be 1 or more and confidence_level between 0 and 1: got {asdict(self)}")
        if not 0 < self.target_sensitivity <= 1 or not all(
            0 < threshold < 1 for threshold in self.threshold_probabilities
        ):
            raise InputError(
                f"target_sensitivity and threshold_probabilities must be between 0 and 1: got {asdict(self)}"
            )

    @property
    def resampling(self) -> dict[str, Any]:
        """Replicates, confidence level and seed."""
        return {key: getattr(self, key) for key in ("replicates", "confidence_level", "seed")}


@dataclass(frozen=True)
class Decisions:
    """What was settled on out-of-fold predictions: thresholds by rule, and a calibrator."""

    thresholds: dict[str, float] = field(default_factory=dict)
    calibration: Choice | None = None

    def calibrated(self, probability: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities, or the same where no calibrator was fitted."""
        return probability if self.calibration is None else self.calibration.calibrator.apply(probability)


def decide(
    out_of_fold: pd.DataFrame, name: str, settings: Settings, training_prevalence: float | None = None
) -> Decisions:
    """Choose thresholds and a calibrator on labeled out-of-fold predictions, the only ones that this may be given.

    With the share of melanomas that the model was trained at, the calibrator may be a prior shift.
    """
    target, probability = labeled(out_of_fold, f"{name}, out of fold")
    _, clusters = resampled(out_of_fold)
    choice = choose_calibrator(target, probability, clusters, training_prevalence, settings.seed)
    return Decisions(choose_thresholds(target, probability, settings.target_sensitivity), choice)


def evaluate(
    tables: Mapping[str, pd.DataFrame], settings: Settings, decisions: Mapping[str, Decisions] | None = None
) -> dict[str, dict[str, Any]]:
    """Evaluate labeled predictions and return metrics.json: each model's entry, in the order of `tables`.

    A table has image, patient, probability and target (see `predictions.read_predictions`). An entry holds n, melanomas
    and patients (null if unknown); each metric of `metrics.Ranking` and `metrics.Calibration` as {value, low, high};
    net_benefit, by threshold probability; and `bootstrap`: the settings, what was resampled ('patient' or, where one is
    unknown, 'image') and how many replicates have a single class and so no AUROC. With decisions it also holds
    thresholds, by rule: the threshold, the counts tp, fp, tn, fn, and each rate of `metrics.RATES`; and calibrated:
    brier, log_loss, ece and net_benefit of the calibrated probabilities.
    """
    decisions = {name: (decisions or {}).get(name, Decisions()) for name in tables}
    entries: dict[str, dict[str, Any]] = {}
    for group in cohorts(tables):
        placed = {name: _measures(*labeled(table, name), decisions[name], settings) for name, table in group.items()}
        for name, estimates in _estimate(placed, group, settings).items():
            entries[name] = _entry(group[name], estimates, settings, decisions[name].thresholds)
    return {name: entries[name] for name in tables}


def validate(tables: Mapping[str, pd.DataFrame], settings: Settings) -> dict[str, dict[str, Any]]:
    """Evaluate labeled out-of-fold predictions: as `evaluate`, pooled, and the plain AUROC of each fold.

    A fold of a single class has no AUROC: null.
    """
    entries = evaluate({f"{name}, out of fold": table for name, table in tables.items()}, settings)
    for entry, table in zip(entries.values(), tables.values(), strict=True):
        folds = {str(fold): float(auroc(*_pair(rows))) for fold, rows in table.groupby("fold")}
        entry["fold_auroc"] = {fold: None if np.isnan(value) else value for fold, value in folds.items()}
    return dict(zip(tables, entries.values(), strict=True))


def reliability(
    tables: Mapping[str, pd.DataFrame], settings: Settings, decisions: Mapping[str, Decisions]
) -> dict[str, dict[str, Any]]:
    """Return calibration.json: each model's calibrator, and reliability curves on the images of `tables`.

    An entry holds, with a calibrator, `calibrator` and `cross_validated_log_loss` (see `calibration.Choice`), and
    `reliability`: for `raw` and, with a calibrator, `calibrated` a list of bins (see `reliability_bins`), each with its
    predicted and observed share of melanomas as {value, low, high}.
    """
    entries = {name: {} if (made := decisions[name].calibration) is None else made.as_dict() for name in tables}
    for group in cohorts(tables):
        placed = {
            name: [
                ((*(place or ("raw",)), str(number)), Bin(_pair(table)[0], probability, members))
                for place, probability in _scales(_pair(table)[1], decisions[name]).items()
                for number, members in enumerate(reliability_bins(probability))
            ]
            for name, table in group.items()
        }
        for name, estimated in _estimate(placed, group, settings).items():
            curves = {scale: list(bins.values()) for scale, bins in _nested(estimated).items()}
            entries[name]["reliability"] = curves
    return entries


def comparisons(tables: Mapping[str, pd.DataFrame], settings: Settings) -> dict[str, Any]:
    """Compare every two models on the images that all predict, and return comparisons.json.

    It holds n, melanomas and patients of these images, what was resampled, and `pairs`, see `comparison.compare`; no
    pairs for one model, or where the common images are of one class. Raises InputError where labels contradict.
    """
    common = common_images(dict(tables))
    first_name, first = next(iter(common.items()))
    for name, table in common.items():
        contradicting = first.loc[(table["target"] != first["target"]).to_numpy(), "image"]
        if len(contradicting):
            count = len(contradicting)
            raise InputError(f"{first_name} and {name} label {count} images differently:\n{listing(contradicting)}")
    clustered, clusters = resampled(first)
    target = first["target"].to_numpy(dtype=np.int8)
    scores = {name: table["probability"].to_numpy() for name, table in common.items()}
    comparable = len(common) > 1 and len(np.unique(target)) == 2
    return {
        **count_images(first),
        "clusters": clustered,
        "confidence_level": settings.confidence_level,
        "pairs": compare(target, scores, clusters, **settings.resampling) if comparable else [],
    }


def cohorts(tables: Mapping[str, pd.DataFrame]) -> list[dict[str, pd.DataFrame]]:
    """Group the models by what they predict, images, patients and labels, with the rows of each group in one order."""
    groups: dict[tuple[int, int], dict[str, pd.DataFrame]] = {}
    for name, table in tables.items():
        rows = pd.util.hash_pandas_object(table[["image", "patient", "target"]], index=False)
        ordered = table.sort_values("image", ignore_index=True)
        groups.setdefault((len(table), int(rows.sum())), {})[name] = ordered
    return list(groups.values())


def reliability_bins(probability: np.ndarray) -> list[np.ndarray]:
    """Cut images by rising probability into bins, each of half as many as the one below, for melanomas are rare.

    Returns bool (n,) for each bin; images of one probability share a bin, and no bin is empty.
    """
    count = int(np.clip(np.log2(len(probability) / LEAST_IMAGES), 0, MOST_BINS - 1))
    levels = 1 - 0.5 ** np.arange(1, count + 1)
    inner = np.quantile(probability, levels, method="lower")
    edges = [-np.inf, *np.unique(inner), np.inf]
    bins = [(low < probability) & (probability <= high) for low, high in pairwise(edges)]
    return [members for members in bins if members.any()]


def count_images(predictions: pd.DataFrame) -> dict[str, int | None]:
    """Return n, melanomas and patients, which is None where one is unknown."""
    known = predictions["patient"].notna().all()
    return {
        "n": len(predictions),
        "melanomas": int(predictions["target"].sum()),
        "patients": int(predictions["patient"].nunique()) if known else None,
    }


def resampled(predictions: pd.DataFrame) -> tuple[str, np.ndarray]:
    """Return what is resampled, 'patient' or, where one is unknown, 'image', and which each row is of, (n,)."""
    column = "patient" if predictions["patient"].notna().all() else "image"
    return column, predictions[column].to_numpy(dtype=str)


def labeled(predictions: pd.DataFrame, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return target int8 (n,) and probability float64 (n,).

    Raises InputError without rows, without labels, or without both classes.
    """
    if predictions.empty:
        raise InputError(f"{name}: no rows to evaluate (part 'test'); predict the test images first")
    if predictions["target"].isna().any():
        raise InputError(f"{name}: no labels: give a file of labels (image, target), or a column target")
    target, probability = _pair(predictions)
    if target.min() == target.max():
        kind = "melanoma" if target[0] else "benign"
        raise InputError(f"{name}: all {len(target)} images are {kind}: an AUROC needs both classes; check the labels")
    return target, probability


def _measures(
    target: np.ndarray, probability: np.ndarray, decisions: Decisions, settings: Settings
) -> list[tuple[Place, Measure]]:
    """Return what is measured of a model and where in its entry it goes; the ranking is the first."""
    made: list[tuple[Place, Measure]] = [((), Ranking(target, probability))]
    for place, values in _scales(probability, decisions).items():
        made.append((place, Calibration(target, values)))
        made.append(((*place, "net_benefit"), NetBenefit(target, values, settings.threshold_probabilities)))
    for rule, threshold in decisions.thresholds.items():
        made.append((("thresholds", rule), Outcomes(target, probability, threshold)))
    return made


def _scales(probability: np.ndarray, decisions: Decisions) -> dict[Place, np.ndarray]:
    calibrated = {} if decisions.calibration is None else {("calibrated",): decisions.calibrated(probability)}
    return {(): probability, **calibrated}


def _estimate(
    placed: Mapping[str, list[tuple[Place, Measure]]], group: Mapping[str, pd.DataFrame], settings: Settings
) -> dict[str, list[tuple[Place, dict[str, Estimate]]]]:
    """Estimate all measures of models that predict the same images over the same draws."""
    first = next(iter(group.values()))
    measures = {(name, i): measure for name, made in placed.items() for i, (_, measure) in enumerate(made)}
    estimates = estimate(measures, _pair(first)[0], resampled(first)[1], **settings.resampling)
    return {name: [(place, estimates[name, i]) for i, (place, _) in enumerate(made)] for name, made in placed.items()}


def _entry(
    table: pd.DataFrame,
    estimates: list[tuple[Place, dict[str, Estimate]]],
    settings: Settings,
    thresholds: dict[str, float],
) -> dict[str, Any]:
    entry = count_images(table) | _nested(estimates)
    for rule, threshold in thresholds.items():
        counts = {cell: int(count) for cell, count in asdict(confusion(*_pair(table), threshold)).items()}
        entry["thresholds"][rule] = {"threshold": threshold, **counts, **entry["thresholds"][rule]}
    (_, ranking), *_ = estimates
    entry["bootstrap"] = {
        **settings.resampling,
        "clusters": resampled(table)[0],
        "degenerate_replicates": ranking["auroc"].undefined,
    }
    return entry


def _nested(estimates: list[tuple[Place, dict[str, Estimate]]]) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    for place, metrics in estimates:
        block = entry
        for key in place:
            block = block.setdefault(key, {})
        block |= {name: made.bounds for name, made in metrics.items()}
    return entry


def _pair(predictions: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return predictions["target"].to_numpy(dtype=np.int8), predictions["probability"].to_numpy()
