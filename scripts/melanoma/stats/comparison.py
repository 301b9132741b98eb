"""Tests of the difference of two models' AUROCs on the same images: one over patients, and DeLong's."""

from itertools import combinations
from typing import TypedDict

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from melanoma.stats.bootstrap import Interval, Resampling, independent_clusters, interval
from melanoma.stats.delong import Comparison, delong_test, z_test
from melanoma.stats.metrics import Auroc, Floats, measured


class PairTest(TypedDict):
    """A test of one pair of models."""

    z: float  # the difference in standard errors
    p: float  # two-sided
    p_holm: float  # corrected for the number of pairs


class Pair(TypedDict):
    """Two models, compared on the same images."""

    first: str
    second: str
    difference: Interval  # AUROC of the first model minus that of the second
    bootstrap: PairTest  # over patients
    delong: PairTest  # images as independent


def paired_test(difference: float, replicated: Floats, n_clusters: int) -> Comparison:
    """Test whether a difference of two models is 0, by its values in the replicates, (replicates,).

    z = d / (s_d * sqrt(m / (m - 1))), where s_d is the standard deviation over the replicates and m is `n_clusters`.
    The factor is there because the variance over replicates is divided by m and not by m - 1.

    z is compared with the normal distribution: a count of 2,000 replicates could not give a small p, and Student's t
    rejects equal AUROCs much too seldom if patients are few (benchmarks/results/paired_test.md). With one cluster, p is
    1. If all replicates have the same difference (not 0), p = 2 * 0.5^m, as in a sign test.
    """
    if n_clusters < 2:
        return Comparison(difference, np.nan, np.nan, 1.0)
    test = z_test(difference, float(np.nanstd(replicated)) * np.sqrt(n_clusters / (n_clusters - 1)))
    return test._replace(p=2 * 0.5**n_clusters) if np.isinf(test.z) else test


def p_greater(test: Comparison) -> float:
    """Return the one-sided p of the hypothesis that the difference is 0 or less."""
    return test.p / 2 if test.difference > 0 else 1 - test.p / 2


def holm(p: ArrayLike) -> Floats:
    """Return p values corrected for the number of tests, (tests,). They control the family-wise error rate.

    The k-th smallest of n values is multiplied by n - k + 1, and is at least the corrected value before it (Holm,
    Scandinavian Journal of Statistics 6:65, 1979).
    """
    p = np.asarray(p, np.float64)
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    corrected[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1.0)
    return corrected


def compare(
    target: ArrayLike,
    scores: dict[str, ArrayLike],
    clusters: ArrayLike,
    replicates: int,
    confidence_level: float,
    seed: int,
) -> list[Pair]:
    """Compare each pair of models on the same images, in the order of `scores`.

    `target` 0/1, each of `scores` and `clusters` (patients) have shape (n,). There must be both classes.
    """
    rankings = {name: Auroc(target, score) for name, score in scores.items()}
    areas = {name: float(measured(ranking)["auroc"]) for name, ranking in rankings.items()}
    resampling = Resampling(rankings, clusters)
    replicated, left_out = resampling.replicate(replicates, seed), resampling.leave_out(seed)
    n_clusters = independent_clusters(target, clusters)
    pairs = list(combinations(scores, 2))
    differences, by_bootstrap, by_delong = [], [], []
    for first, second in pairs:
        difference = areas[first] - areas[second]
        in_replicates, in_groups = (each[first]["auroc"] - each[second]["auroc"] for each in (replicated, left_out))
        differences.append(interval(difference, in_replicates, in_groups, confidence_level, n_clusters).bounds)
        by_bootstrap.append(paired_test(difference, in_replicates, n_clusters))
        by_delong.append(delong_test(target, scores[first], scores[second]))
    columns = zip(pairs, differences, _corrected(by_bootstrap), _corrected(by_delong), strict=True)
    return [
        {"first": first, "second": second, "difference": difference, "bootstrap": bootstrap, "delong": delong}
        for (first, second), difference, bootstrap, delong in columns
    ]


def _corrected(tests: list[Comparison]) -> list[PairTest]:
    """Return the tests of all pairs with their p corrected by Holm's method."""
    corrected = holm([test.p for test in tests]).tolist()
    return [{"z": test.z, "p": test.p, "p_holm": p} for test, p in zip(tests, corrected, strict=True)]


def common_images(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the rows of the images that all tables have, sorted by image."""
    shared = set.intersection(*(set(table["image"]) for table in tables.values()))
    return {
        name: table[table["image"].isin(shared)].sort_values("image", ignore_index=True)
        for name, table in tables.items()
    }
