"""Transport of out-of-fold scores to the mean of the folds' models, which predicts the test images.

Each out-of-fold score is that of one model. The mean of several models has less noise, and so another distribution in
each class: a threshold for a sensitivity of 90 % would reach more than that. The folds' models all predict the
test images, whose labels are not needed to measure the noise. By the law of total variance, the variance of the mean
within a class is that of one model minus the variance between the models. So the scores of each class are moved to its
mean until their variance is right, as in Louis (J. Am. Stat. Assoc. 79:393, 1984), and then by what the mean of
probabilities differs from that of the logits.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.predictions.table import fold_columns
from melanoma.stats.log_odds import sigmoid
from melanoma.stats.metrics import Floats

NEIGHBORS = 50  # test images with the nearest mean logits, which a local mean is taken of


def transported(out_of_fold: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    """Return labeled `out_of_fold` predictions with the logits and probabilities that the mean of the folds would give.

    `test` are predictions by the mean of the folds, with the logits of each fold's model (see `table.FOLD_LOGIT`). If
    one model predicts the test, nothing changes. The rows are right as the samples of two classes, not one by one.
    """
    models = test[fold_columns(test)].to_numpy(float)
    if models.shape[1] < 2 or not len(test):
        return out_of_fold
    mean = models.mean(axis=1)
    score = out_of_fold["logit"].to_numpy()
    variance = local_means(mean, models.var(axis=1), score)
    target = out_of_fold["target"].to_numpy(dtype=np.int8)
    for label in (0, 1):
        rows = target == label
        score = np.where(rows, _shrunk(score, rows, variance), score)
    score = score + local_means(mean, test["logit"].to_numpy() - mean, score)
    return out_of_fold.assign(logit=score, probability=sigmoid(score))


def local_means(place: Floats, value: Floats, at: Floats) -> Floats:
    """Return the mean of `value`, (n,), over the `NEIGHBORS` whose `place`, (n,), surround each of `at`: (m,)."""
    order = np.argsort(place, kind="stable")
    neighbors = min(NEIGHBORS, len(order))
    sums = np.concatenate([[0.0], np.cumsum(value[order])])
    first = np.clip(np.searchsorted(place[order], at) - neighbors // 2, 0, len(order) - neighbors)
    return np.asarray((sums[first + neighbors] - sums[first]) / neighbors)


def _shrunk(score: Floats, rows: NDArray[np.bool_], variance: Floats) -> Floats:
    """Return all scores moved to the mean of `rows`, so that the variance of these falls by their mean `variance`."""
    if not rows.any() or not (total := score[rows].var()):
        return score
    center = score[rows].mean()
    kept = np.sqrt(max(1 - variance[rows].mean() / total, 0.0))
    return np.asarray(center + kept * (score - center))
