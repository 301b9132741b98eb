"""The AUROC of a model on corrupted copies of the test images."""

from typing import cast

import pandas as pd

from melanoma.config.study import Evaluate
from melanoma.evaluation.cohorts import clusters_drawn, labeled, resampling
from melanoma.evaluation.results import Robustness
from melanoma.stats.bootstrap import estimate
from melanoma.stats.metrics import Auroc

ORIGINAL = ("", 0)


def robustness(test: pd.DataFrame, corrupted: pd.DataFrame, settings: Evaluate, model: str) -> Robustness:
    """Return the AUROC of the images as they are, and by corruption and severity.

    `test` has labeled predictions, and `corrupted` has corruption, severity, image and probability, for all images of
    `test`. All intervals are of the same draws of patients.
    """
    ordered = test.sort_values("image", ignore_index=True)
    target, probability = labeled(ordered, model)
    measures = {ORIGINAL: Auroc(target, probability)}
    for key, rows in corrupted.groupby(["corruption", "severity"], sort=False):
        predicted = rows.set_index("image").loc[ordered["image"], "probability"]
        measures[cast(tuple[str, int], key)] = Auroc(target, predicted.to_numpy())
    estimates = estimate(measures, target, clusters_drawn(ordered)[1], **resampling(settings))
    areas = {key: metrics["auroc"].bounds for key, metrics in estimates.items()}
    found: Robustness = {"original": areas.pop(ORIGINAL), "corrupted": {}}
    for (corruption, severity), area in areas.items():
        found["corrupted"].setdefault(corruption, {})[str(severity)] = area
    return found
