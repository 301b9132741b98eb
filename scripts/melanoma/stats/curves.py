"""The ROC curve and the precision-recall curve of scores; `target` and `score` as in melanoma.stats.metrics."""

import numpy as np
from numpy.typing import ArrayLike

from melanoma.stats.metrics import Floats, outcomes_by_threshold


def roc_curve(target: ArrayLike, score: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Return false positive rate, true positive rate and threshold, each (k,), by falling score.

    The first point is (0, 0) at threshold infinity. There must be images of both classes.
    """
    false, true, threshold = outcomes_by_threshold(target, score)
    points = np.concatenate([[0], false / false[-1]]), np.concatenate([[0], true / true[-1]])
    return *points, np.concatenate([[np.inf], threshold])


def precision_recall_curve(target: ArrayLike, score: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Return precision, recall and threshold, each (k,), at each distinct score, falling.

    There must be a melanoma.
    """
    false, true, threshold = outcomes_by_threshold(target, score)
    return true / (true + false), true / true[-1], threshold
