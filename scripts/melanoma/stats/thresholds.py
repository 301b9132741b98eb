"""Decision thresholds, selected on out-of-fold predictions and applied to the test unchanged."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from melanoma.common.files import read_json
from melanoma.stats.metrics import Confusion, outcomes_by_threshold


def load(path: str | Path) -> dict[str, dict[str, float]]:
    """Read the thresholds of raw probabilities from `evaluate/metrics.json`, by model or fusion, then by rule."""
    rules = {name: entry.get("thresholds", {}) for name, entry in read_json(path).items()}
    return {name: {rule: rates["threshold"] for rule, rates in by_rule.items()} for name, by_rule in rules.items()}


def purpose(rule: str) -> str:
    """Return what the threshold of a rule of `choose_thresholds` is chosen for, in words."""
    words = {
        "g_mean": "the highest geometric mean of sensitivity and specificity",
        "youden": "the highest sum of sensitivity and specificity",
        "f2": "the highest F2 score",
    }
    return words.get(rule) or f"a sensitivity of at least {float(rule.removeprefix('sensitivity_')) / 100:g}"


def choose_thresholds(target: ArrayLike, probability: ArrayLike, sensitivity: float) -> dict[str, float]:
    """Return the threshold of each rule by its name. A probability at or above the threshold counts as melanoma.

    g_mean, youden and f2 maximize the metric of their name (Youden's index is sensitivity + specificity - 1, Cancer
    3:32, 1950). sensitivity_NN is the highest threshold whose sensitivity is `sensitivity` or more. Of equally good
    thresholds the highest is returned. `target` (n,) must have both classes.
    """
    false, true, thresholds = outcomes_by_threshold(target, probability)
    cells = Confusion(tp=true, fp=false, tn=false[-1] - false, fn=true[-1] - true)
    places = {
        "g_mean": np.argmax(cells.g_mean),
        "youden": np.argmax(cells.balanced_accuracy),
        "f2": np.argmax(cells.f2),
        f"sensitivity_{100 * sensitivity:g}": np.argmax(cells.sensitivity >= sensitivity),
    }
    return {rule: float(thresholds[place]) for rule, place in places.items()}
