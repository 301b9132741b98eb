"""Whether one model's AUROC is higher than another's on the same images: DeLong's test and one over patients."""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from melanoma.stats.bootstrap import Resampling, independent_clusters, interval
from melanoma.stats.delong import Comparison, delong_test, z_test
from melanoma.stats.metrics import Ranking, measured


def paired_test(difference: ArrayLike, replicated: np.ndarray, n_clusters: int) -> Comparison:
    """Test whether a difference of two models is 0, by its standard deviation over the replicates, (replicates,).

    Of `n_clusters` independent clusters the replicates show a variance divided by n, where that of n - 1 is meant. The
    difference is taken as normal: p may be far below what counting 2,000 replicates could tell, and Student's t would
    reject equality of AUROCs much too seldom where patients are few (benchmarks/results/paired_test.md). One cluster
    tells nothing: p is 1. Where every replicate has the same difference, it is a sign test.
    """
    difference = float(difference)
    if n_clusters < 2:
        return Comparison(difference, np.nan, np.nan, 1.0)
    made = z_test(difference, float(np.nanstd(replicated)) * np.sqrt(n_clusters / (n_clusters - 1)))
    return made._replace(p=2 * 0.5**n_clusters) if np.isinf(made.z) else made


def p_greater(test: Comparison) -> float:
    """Return the one-sided p that the difference is not above 0."""
    return test.p / 2 if test.difference > 0 else 1 - test.p / 2


def holm(p: ArrayLike) -> np.ndarray:
    """Return p values corrected for their number, (tests,), so that any false finding has the chance that each had.

    Holm, Scandinavian Journal of Statistics 6:65 (1979).
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
) -> list[dict[str, Any]]:
    """Compare every two models on the same images and return a row for each pair, in the order of `scores`.

    `target` 0/1, each of `scores` and `clusters` (patients) have shape (n,); both classes must be there. A row holds
    first, second, difference (the first's AUROC less the second's: value, low, high), and for `bootstrap` (over
    patients) and `delong` (images taken as independent) z, the two-sided p, and p_holm, corrected for all rows.
    """
    rankings = {name: Ranking(target, score) for name, score in scores.items()}
    areas = {name: measured(ranking)["auroc"] for name, ranking in rankings.items()}
    resampling = Resampling(rankings, clusters)
    replicated, left_out = resampling.replicate(replicates, seed), resampling.leave_out(seed)
    n_clusters = independent_clusters(target, clusters)
    rows, tests = [], {"bootstrap": [], "delong": []}
    for first, second in combinations(scores, 2):
        difference = areas[first] - areas[second]
        spread, jackknife = (made[first]["auroc"] - made[second]["auroc"] for made in (replicated, left_out))
        made = interval(difference, spread, jackknife, confidence_level, n_clusters)
        rows.append({"first": first, "second": second, "difference": made.bounds})
        tests["bootstrap"].append(paired_test(difference, spread, n_clusters))
        tests["delong"].append(delong_test(target, scores[first], scores[second]))
    for kind, results in tests.items():
        for row, result, corrected in zip(rows, results, holm([result.p for result in results]), strict=True):
            row[kind] = {"z": result.z, "p": result.p, "p_holm": float(corrected)}
    return rows


def common_images(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the rows of the images that every table has, in one order."""
    shared = set.intersection(*(set(table["image"]) for table in tables.values()))
    return {
        name: table[table["image"].isin(shared)].sort_values("image", ignore_index=True)
        for name, table in tables.items()
    }
