"""The curves of a model's predictions, as points to draw."""

from typing import Any

import numpy as np
import pandas as pd

from melanoma.evaluation.evaluate import Decisions, Settings, labeled
from melanoma.stats.metrics import NetBenefit, measured, precision_recall_curve, roc_curve

POINTS = 100  # of a decision curve


def curves(predictions: pd.DataFrame, name: str, settings: Settings, decisions: Decisions) -> dict[str, Any]:
    """Return the model's entry of curves.json: the corners of its ROC and precision-recall curves, its decision curve.

    `roc` holds false_positive_rate and true_positive_rate, `precision_recall` holds recall and precision at
    each score that gains recall, so that steps of precision over recall enclose the average precision. `decision` holds
    threshold and net_benefit of the calibrated probabilities, up to the highest threshold of the settings.
    """
    target, probability = labeled(predictions, name)
    false, true, _ = roc_curve(target, probability)
    # Steps in whole images, so that rounding makes no corner where the curve goes straight on.
    right = np.rint(np.diff(false) * (target == 0).sum())
    up = np.rint(np.diff(true) * (target == 1).sum())
    turns = right[:-1] * up[1:] != right[1:] * up[:-1]
    corner = np.concatenate([[True], turns, [True]])
    precision, recall, _ = precision_recall_curve(target, probability)
    gains = np.diff(recall, prepend=0.0) > 0
    thresholds = (max(settings.threshold_probabilities, default=0.5) * np.arange(1, POINTS + 1) / POINTS).tolist()
    benefit = measured(NetBenefit(target, decisions.calibrated(probability), thresholds))
    return {
        "prevalence": float(target.mean()),
        "roc": {"false_positive_rate": false[corner].tolist(), "true_positive_rate": true[corner].tolist()},
        "precision_recall": {"recall": recall[gains].tolist(), "precision": precision[gains].tolist()},
        "decision": {"threshold": thresholds, "net_benefit": [float(value) for value in benefit.values()]},
    }
