"""The data of the curves have the counts of the evaluation, at few thresholds."""

import numpy as np

from melanoma.report.charts import STEPS, bands, operating
from melanoma.stats.curves import roc_curve
from melanoma.stats.metrics import confusion


def cohort(n: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    target = (generator.random(n) < 0.1).astype(np.int64)
    return target, generator.normal(target, 1).round(2) / 10 + 0.4


def test_the_counts_at_each_threshold_are_those_of_the_confusion_matrix():
    target, score = cohort(500)
    points = operating(target, score, [0.123456, 9.0, score[3]])
    assert {0.123456, 9.0, score[3]} <= set(points["threshold"])
    assert points["threshold"] == sorted(points["threshold"], reverse=True)
    for threshold, tp, fp in zip(points["threshold"], points["tp"], points["fp"], strict=True):
        cells = confusion(target, score, threshold)
        assert (tp, fp) == (cells.tp, cells.fp)
    assert (points["positives"], points["negatives"]) == (target.sum(), 500 - target.sum())


def test_a_large_test_set_has_few_thresholds_and_the_same_area():
    target, score = cohort(30_000)
    score = score + np.random.default_rng(1).normal(0, 0.001, len(score))
    points = operating(target, score, [])
    assert len(points["threshold"]) <= STEPS + 1
    false, true, _ = roc_curve(target, score)
    rates = [np.array([0, *points["fp"]]) / points["negatives"], np.array([0, *points["tp"]]) / points["positives"]]
    assert abs(np.trapezoid(true, false) - np.trapezoid(rates[1], rates[0])) < 2e-3


def test_the_bands_enclose_the_curve_and_clusters_widen_them():
    target, score = cohort(600)
    alone = bands(target, score, np.arange(600).astype(str), 0.95, 1)
    false, true, _ = roc_curve(target, score)
    grid = np.array(alone["roc"]["x"])
    highest = np.interp(grid, false, true)
    assert (np.array(alone["roc"]["low"]) <= highest + 0.02).all()
    assert (np.array(alone["roc"]["high"]) >= highest - 0.02).all()
    repeated = bands(np.tile(target, 4), np.tile(score, 4), np.arange(2400).astype(str), 0.95, 1)
    clustered = bands(np.tile(target, 4), np.tile(score, 4), np.tile(np.arange(600), 4).astype(str), 0.95, 1)

    def width(band):
        return np.mean(np.subtract(band["high"], band["low"]))

    assert width(clustered["roc"]) > 1.5 * width(repeated["roc"])
    assert width(clustered["precision_recall"]) > 1.5 * width(repeated["precision_recall"])
