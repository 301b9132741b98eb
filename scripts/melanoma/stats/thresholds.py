"""Decision thresholds, chosen on out-of-fold predictions and applied to test as they are."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from melanoma.common.files import read_json
from melanoma.stats.metrics import Confusion, outcomes_by_threshold


def load(path: str | Path) -> dict[str, dict[str, float]]:
    """Read from `evaluate/metrics.json` the thresholds on raw probabilities: by model or fusion, then by rule."""
    kept = {name: entry.get("thresholds", {}) for name, entry in read_json(path).items()}
    return {name: {rule: evaluated["threshold"] for rule, evaluated in rules.items()} for name, rules in kept.items()}


def choose_thresholds(target: ArrayLike, probability: ArrayLike, sensitivity: float) -> dict[str, float]:
    """Return the threshold that each rule chooses, by the rule's name; at a threshold or above is melanoma.

    g_mean, youden and f2 are highest there of all thresholds (Youden, Cancer 3:32, 1950, for sensitivity + specificity
    - 1); sensitivity_NN is the highest threshold whose sensitivity is `sensitivity` or more. Of equally good thresholds
    the highest is taken. `target` (n,) must hold both classes.
    """
    false, true, thresholds = outcomes_by_threshold(target, probability)
    cells = Confusion(tp=true, fp=false, tn=false[-1] - false, fn=true[-1] - true)
    chosen = {
        "g_mean": np.argmax(cells.g_mean),
        "youden": np.argmax(cells.balanced_accuracy),
        "f2": np.argmax(cells.f2),
        f"sensitivity_{100 * sensitivity:g}": np.argmax(cells.sensitivity >= sensitivity),
    }
    return {rule: float(thresholds[place]) for rule, place in chosen.items()}
