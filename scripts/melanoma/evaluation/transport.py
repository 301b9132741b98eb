"""Transport of out-of-fold scores to the scale of what predicts the test images: the folds' mean, or the refit.

The folds' models all predict the test images, whose labels are not needed to learn how their scores differ from those
of what predicts the test.

The mean of several models has less noise than one model, and so another distribution in each class: a threshold for a
sensitivity of 90 % would reach more than that. By the law of total variance, the variance of the mean within a class is
that of one model minus the variance between the models. So the scores of each class are moved to its mean until their
variance is right, as in Louis (J. Am. Stat. Assoc. 79:393, 1984), and then by what the mean of probabilities differs
from that of the logits.

The refit is one model, but of more images: it fits the sample less closely, so its scores have another scale. A score
of a fold's model becomes the score of the refit with the same rank among the test images, as in the equating of two
exams by percentiles (Kolen and Brennan, Test Equating, 2014). So at a threshold the refit calls as many of these
images melanoma as the fold's model. Both are the same images, so it does not matter how many of them are melanomas.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.predictions.table import REFIT, fold_column, fold_columns
from melanoma.stats.log_odds import sigmoid
from melanoma.stats.metrics import Floats

DIGITS = 9  # after the point, to which scores are equal
NEIGHBORS = 50  # test images with the nearest mean logits, which a local mean is taken of


def transported(out_of_fold: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    """Return labeled `out_of_fold` predictions with the logits and probabilities that the test's model would give.

    `test` are the predictions of the test, with the logits of each training (see `table.FOLD_LOGIT`). With those of a
    single training, nothing changes. The rows are right as the samples of two classes, not one by one.
    """
    columns = fold_columns(test)
    if len(columns) < 2 or not len(test):
        return out_of_fold
    if fold_column(REFIT) in columns:
        return _to_refit(out_of_fold, test)
    score = _to_mean(out_of_fold, test)
    return out_of_fold.assign(logit=score, probability=sigmoid(score))


def equated(score: Floats, by: Floats, to: Floats) -> Floats:
    """Return the scores (m,) of one model as those of another one, by the scores of both for the same images, (n,).

    Between two scores of `by` the result is interpolated; beyond all of them it differs by as much as at the end. A
    score that several images share becomes their median, so that steps stay steps. Rounding errors are no difference.
    """
    score, by = score.round(DIGITS), by.round(DIGITS)
    places, first, count = np.unique(np.sort(by), return_index=True, return_counts=True)
    inside = np.interp(score, places, np.sort(to)[first + (count - 1) // 2])
    return np.asarray(inside + (score - np.clip(score, places[0], places[-1])))


def _to_refit(out_of_fold: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    """Return the predictions equated to those of the refit, each fold by its own model.

    The logit of a test image has the probability of that image to the bit, because a threshold is one of these.
    """
    score = np.array(out_of_fold["logit"], np.float64)
    refit = np.array(test["logit"], np.float64)
    for fold, rows in out_of_fold.groupby("fold").indices.items():
        if (column := fold_column(f"fold-{fold}")) in test:
            score[rows] = equated(score[rows], np.array(test[column], np.float64), refit)
    inside = (refit.min() <= score) & (score <= refit.max())
    probability = np.interp(score, np.sort(refit), np.sort(test["probability"]))
    return out_of_fold.assign(logit=score, probability=np.where(inside, probability, sigmoid(score)))


def _to_mean(out_of_fold: pd.DataFrame, test: pd.DataFrame) -> Floats:
    """Return the logits without the noise that the mean of the folds' models does not have."""
    models = test[fold_columns(test)].to_numpy(float)
    mean = models.mean(axis=1)
    score = out_of_fold["logit"].to_numpy()
    variance = local_means(mean, models.var(axis=1), score)
    target = out_of_fold["target"].to_numpy(dtype=np.int8)
    for label in (0, 1):
        rows = target == label
        score = np.where(rows, _shrunk(score, rows, variance), score)
    return np.asarray(score + local_means(mean, test["logit"].to_numpy() - mean, score))


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
