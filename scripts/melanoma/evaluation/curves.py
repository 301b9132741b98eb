"""ROC, precision-recall and decision curves."""

import numpy as np
import pandas as pd

from melanoma.config.study import Evaluate
from melanoma.evaluation.cohorts import labeled
from melanoma.evaluation.decisions import Decisions
from melanoma.evaluation.results import Curves
from melanoma.stats.curves import precision_recall_curve, roc_curve
from melanoma.stats.metrics import NetBenefit, measured

POINTS = 100  # of a decision curve


def curves(predictions: pd.DataFrame, name: str, settings: Evaluate, decisions: Decisions) -> Curves:
    """Return the entry of the model `name` in curves.json."""
    target, probability = labeled(predictions, name)
    false, true, _ = roc_curve(target, probability)
    # A point is a corner if the slope changes there. Steps are whole numbers of images, so rounding adds no corner.
    right = np.rint(np.diff(false) * (target == 0).sum())
    up = np.rint(np.diff(true) * (target == 1).sum())
    turns = right[:-1] * up[1:] != right[1:] * up[:-1]
    corner = np.concatenate([[True], turns, [True]])
    precision, recall, _ = precision_recall_curve(target, probability)
    gains = np.diff(recall, prepend=0.0) > 0
    thresholds = (max(settings.threshold_probabilities) * np.arange(1, POINTS + 1) / POINTS).tolist()
    benefit = measured(NetBenefit(target, decisions.calibrated(probability), thresholds))
    return {
        "prevalence": float(target.mean()),
        "roc": {"false_positive_rate": false[corner].tolist(), "true_positive_rate": true[corner].tolist()},
        "precision_recall": {"recall": recall[gains].tolist(), "precision": precision[gains].tolist()},
        "decision": {"threshold": thresholds, "net_benefit": [float(value) for value in benefit.values()]},
    }
