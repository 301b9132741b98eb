"""ROC, precision-recall and decision curves."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.config.study import Evaluate
from melanoma.evaluation.cohorts import labeled, pair
from melanoma.evaluation.decisions import Decisions
from melanoma.evaluation.results import Curves, RankingCurves, ValidationCurves
from melanoma.stats.curves import precision_recall_curve, roc_curve
from melanoma.stats.metrics import Floats, NetBenefit, measured

POINTS = 100  # of a decision curve


def curves(
    predictions: pd.DataFrame,
    name: str,
    settings: Evaluate,
    decisions: Decisions,
    out_of_fold: pd.DataFrame | None = None,
) -> Curves:
    """Return the entry of the model `name` in curves.json; only with labeled `out_of_fold` rows it has `validation`."""
    target, probability = labeled(predictions, name)
    thresholds = (max(settings.threshold_probabilities) * np.arange(1, POINTS + 1) / POINTS).tolist()
    benefit = measured(NetBenefit(target, decisions.calibrated(probability), thresholds))
    ranking = _ranking(target, probability)
    entry: Curves = {
        "prevalence": float(target.mean()),
        "roc": ranking["roc"],
        "precision_recall": ranking["precision_recall"],
        "decision": {"threshold": thresholds, "net_benefit": [float(value) for value in benefit.values()]},
    }
    if out_of_fold is not None:
        entry["validation"] = _validation(out_of_fold)
    return entry


def _validation(out_of_fold: pd.DataFrame) -> ValidationCurves:
    folds = {str(fold): rows for fold, rows in out_of_fold.groupby("fold") if rows["target"].nunique() == 2}
    curves = {fold: _ranking(*pair(rows)) for fold, rows in folds.items()}
    return {"pooled": _ranking(*pair(out_of_fold)), "folds": curves}


def _ranking(target: NDArray[np.int8], probability: Floats) -> RankingCurves:
    false, true, _ = roc_curve(target, probability)
    # A point is a corner if the slope changes there. Steps are whole numbers of images, so rounding adds no corner.
    right = np.rint(np.diff(false) * (target == 0).sum())
    up = np.rint(np.diff(true) * (target == 1).sum())
    turns = right[:-1] * up[1:] != right[1:] * up[:-1]
    corner = np.concatenate([[True], turns, [True]])
    precision, recall, _ = precision_recall_curve(target, probability)
    gains = np.diff(recall, prepend=0.0) > 0
    return {
        "roc": {"false_positive_rate": false[corner].tolist(), "true_positive_rate": true[corner].tolist()},
        "precision_recall": {"recall": recall[gains].tolist(), "precision": precision[gains].tolist()},
    }
