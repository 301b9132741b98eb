"""Selective prediction: the metrics of the images that are left if a physician takes over the most uncertain ones.

The uncertainty of an image is the spread of its log-odds over the trainings that predict it, seeds and folds (the
column spread). Where this is unknown, it is the spread of its probability over the views of test-time augmentation
(view_deviation), and with a single view the distance of its log-odds to the threshold (El-Yaniv and Wiener, Journal of
Machine Learning Research 11:1605, 2010).
"""

import numpy as np
import pandas as pd

from melanoma.config.study import Evaluate
from melanoma.evaluation.cohorts import clusters_drawn, pair, resampling
from melanoma.evaluation.decisions import Decisions
from melanoma.evaluation.results import Selective, SelectivePoint
from melanoma.predictions.table import SPREAD, VIEW_DEVIATION
from melanoma.stats.bootstrap import estimate
from melanoma.stats.log_odds import logit
from melanoma.stats.metrics import Accuracy, Auroc, Floats, Measure
from melanoma.stats.subsets import Among

COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)


def selective(table: pd.DataFrame, decisions: Decisions, settings: Evaluate) -> Selective:
    """Return AUROC and accuracy of the most certain images, by the share that is kept.

    Without a threshold, an image is called melanoma if its probability is at or above the share of melanomas.
    """
    target, probability = pair(table)
    threshold = float(target.mean()) if decisions.threshold is None else decisions.threshold
    by, uncertainty = _uncertainty(table, -np.abs(logit(probability) - logit(threshold)))
    rank = np.empty(len(table), int)
    rank[np.argsort(uncertainty, kind="stable")] = np.arange(len(table))
    measures: dict[tuple[float, str], Measure] = {}
    for coverage in COVERAGES:
        kept = rank < np.ceil(coverage * len(table))
        measures[coverage, "auroc"] = Among(Auroc(target[kept], probability[kept]), kept)
        measures[coverage, "accuracy"] = Among(Accuracy(target[kept], probability[kept], threshold), kept)
    estimates = estimate(measures, target, clusters_drawn(table)[1], **resampling(settings))
    points: list[SelectivePoint] = []
    for coverage in COVERAGES:
        kept = rank < np.ceil(coverage * len(table))
        points.append(
            {
                "coverage": coverage,
                "n": int(kept.sum()),
                "melanomas": int(target[kept].sum()),
                "auroc": estimates[coverage, "auroc"]["auroc"].bounds,
                "accuracy": estimates[coverage, "accuracy"]["accuracy"].bounds,
            }
        )
    return {"by": by, "points": points}


def _uncertainty(table: pd.DataFrame, nearness: Floats) -> tuple[str, Floats]:
    """Return name and values of the first uncertainty that all images have, else of the nearness to the threshold."""
    for name, column in (("spread", SPREAD), ("views", VIEW_DEVIATION)):
        if column in table and np.isfinite(values := np.array(table[column], np.float64)).all():
            return name, values
    return "margin", nearness
