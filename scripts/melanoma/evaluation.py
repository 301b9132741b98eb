"""The judgement of predictions: metrics with patient-clustered intervals, curves, and a table to read."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from melanoma.bootstrap import Estimate, estimate
from melanoma.errors import InputError
from melanoma.metrics import confusion, precision_recall_curve, roc_curve


@dataclass(frozen=True)
class Settings:
    """How intervals are made: number of replicates, confidence (0 to 1), seed of the resampling."""

    replicates: int = 2000
    confidence: float = 0.95
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse values that no interval can be made with."""
        if self.replicates < 1 or not 0 < self.confidence < 1:
            raise InputError(f"replicates must be 1 or more and confidence between 0 and 1: got {asdict(self)}")


def evaluate(
    predictions: pd.DataFrame, name: str, settings: Settings, threshold: float | None = None
) -> dict[str, Any]:
    """Judge labelled predictions and return the model's entry of metrics.json.

    `predictions` has image, patient, probability and target (see `predictions.read_predictions`). The entry
    holds n, melanomas, patients (null if unknown); auroc, average_precision and brier as {value, low, high};
    with a threshold the outcomes there; and `bootstrap`: the settings, what was resampled ('patient' or,
    where a patient is unknown, 'image') and how many replicates were left out for having a single class.
    """
    target, probability = labelled(predictions, name)
    known = predictions["patient"].notna().all()
    clusters = predictions["patient" if known else "image"].to_numpy(dtype=str)
    made = estimate(target, probability, clusters, **asdict(settings), threshold=threshold)
    areas = {key: made.metrics[key]._asdict() for key in ("auroc", "average_precision", "brier")}
    return {
        "n": len(target),
        "melanomas": int(target.sum()),
        "patients": int(predictions["patient"].nunique()) if known else None,
        **areas,
        **({} if threshold is None else {"at_threshold": _at_threshold(target, probability, threshold, made)}),
        "bootstrap": {
            **asdict(settings),
            "clusters": "patient" if known else "image",
            "degenerate_replicates": made.degenerate,
        },
    }


def validate(predictions: pd.DataFrame, name: str, settings: Settings) -> dict[str, Any]:
    """Judge labelled out-of-fold predictions: as `evaluate`, pooled, and the plain AUROC of each fold.

    A fold of a single class has no AUROC: null.
    """
    entry = evaluate(predictions, f"{name}, out of fold", settings)
    entry["fold_auroc"] = {}
    for fold, rows in predictions.groupby("fold"):
        both = rows["target"].nunique() == 2
        value = float(estimate(*_pair(rows), np.arange(len(rows)), 1).metrics["auroc"].value) if both else None
        entry["fold_auroc"][str(fold)] = value
    return entry


def curves(predictions: pd.DataFrame, name: str) -> dict[str, Any]:
    """Return the model's entry of curves.json: the corners of its ROC and precision-recall curves.

    `roc` holds false_positive_rate and true_positive_rate, `precision_recall` holds recall and precision at
    each score that gains recall, so that steps of precision over recall enclose the average precision.
    """
    target, probability = labelled(predictions, name)
    false, true, _ = roc_curve(target, probability)
    # Steps in whole images, so that rounding makes no corner where the curve goes straight on.
    right = np.rint(np.diff(false) * (target == 0).sum())
    up = np.rint(np.diff(true) * (target == 1).sum())
    turns = right[:-1] * up[1:] != right[1:] * up[:-1]
    corner = np.concatenate([[True], turns, [True]])
    precision, recall, _ = precision_recall_curve(target, probability)
    gains = np.diff(recall, prepend=0.0) > 0
    return {
        "prevalence": float(target.mean()),
        "roc": {"false_positive_rate": false[corner].tolist(), "true_positive_rate": true[corner].tolist()},
        "precision_recall": {"recall": recall[gains].tolist(), "precision": precision[gains].tolist()},
    }


def labelled(predictions: pd.DataFrame, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return target int8 (n,) and probability float64 (n,).

    Raises InputError without rows, without labels, or without both classes.
    """
    if predictions.empty:
        raise InputError(f"{name}: no rows to judge (part 'test'); predict the test images first")
    if predictions["target"].isna().any():
        raise InputError(f"{name}: no labels: give a file of labels (image, target), or a column target")
    target, probability = _pair(predictions)
    if target.min() == target.max():
        kind = "melanoma" if target[0] else "benign"
        raise InputError(f"{name}: all {len(target)} images are {kind}: an AUROC needs both classes; check the labels")
    return target, probability


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
    if interval["low"] is None or np.isnan(interval["low"]):
        return f"{interval['value']:.4f}"
    return f"{interval['value']:.4f} [{interval['low']:.4f}, {interval['high']:.4f}]"


def interval_note(metrics: dict[str, Any]) -> str:
    """Return one sentence that says how the intervals were made."""
    made = [entry["bootstrap"] for entry in metrics.values()]
    clusters = " or ".join(sorted({entry["clusters"] + "s" for entry in made}))
    left_out = sum(entry["degenerate_replicates"] for entry in made)
    note = (
        f"In brackets: {made[0]['confidence']:.0%} percentile intervals over {made[0]['replicates']:,} "
        f"bootstrap resamples of {clusters}"
    )
    return note + (f"; {left_out} resamples of a single class left out." if left_out else ".")


def _at_threshold(target: np.ndarray, probability: np.ndarray, threshold: float, made: Estimate) -> dict[str, Any]:
    cells = confusion(target, probability, threshold)
    counts = {cell: int(getattr(cells, cell)) for cell in ("tp", "fp", "tn", "fn")}
    rates = {rate: float(getattr(cells, rate)) for rate in ("precision", "balanced_accuracy", "g_mean", "f2", "kappa")}
    intervals = {rate: made.metrics[rate]._asdict() for rate in ("sensitivity", "specificity")}
    return {"threshold": threshold, **counts, **intervals, **rates}


def _pair(predictions: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return predictions["target"].to_numpy(dtype=np.int8), predictions["probability"].to_numpy()
