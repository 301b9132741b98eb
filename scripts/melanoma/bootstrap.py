"""Intervals by resampling patients, for images of one patient are not independent.

A replicate draws as many patients as there are, with replacement, and each image then counts as often as its
patient was drawn. Scores are sorted once; a replicate costs a gather and a cumulative sum over the images,
nothing more.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from melanoma.metrics import Confusion, Ranking, auroc_of, average_precision_of, outcomes

CHUNK = 1 << 18  # weights held at once: they stay in the processor's cache


class Interval(NamedTuple):
    """A metric on the images as they are, and its percentile interval over the replicates."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """Metrics by name with their intervals, and how many replicates were left out for lack of a class."""

    metrics: dict[str, Interval]
    degenerate: int


def estimate(
    target: ArrayLike,
    probability: ArrayLike,
    clusters: ArrayLike,
    replicates: int = 2000,
    confidence: float = 0.95,
    seed: int = 1,
    threshold: float | None = None,
) -> Estimate:
    """Estimate auroc, average_precision and brier with intervals; with a threshold, its rates, too.

    `target`, `probability` and `clusters` (any hashable patient identity) have shape (n,), and both classes
    must be there. The same seed and the same clusters draw the same patients whatever the probabilities.
    """
    values = replicate_metrics(target, probability, clusters, replicates, seed, threshold)
    n = len(np.asarray(target))
    as_is = _metrics(Ranked(target, probability, np.arange(n), threshold), np.ones((1, n)))
    kept = ~np.isnan(values["auroc"])
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    metrics = {}
    for name, replicated in values.items():
        low, high = np.quantile(replicated[kept], tails) if kept.any() else (np.nan, np.nan)
        metrics[name] = Interval(float(as_is[name][0]), float(low), float(high))
    return Estimate(metrics, int((~kept).sum()))


def replicate_metrics(
    target: ArrayLike,
    probability: ArrayLike,
    clusters: ArrayLike,
    replicates: int,
    seed: int,
    threshold: float | None = None,
) -> dict[str, np.ndarray]:
    """Return each metric in each replicate: name -> float64 (replicates,), NaN where a class is missing."""
    _, cluster = np.unique(np.asarray(clusters), return_inverse=True)
    ranked = Ranked(target, probability, cluster, threshold)
    chunks = [_metrics(ranked, draws) for draws in draw(ranked.size, replicates, seed, len(cluster))]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def draw(clusters: int, replicates: int, seed: int, images: int) -> Iterator[np.ndarray]:
    """Yield, chunk by chunk, how often each cluster is drawn in each replicate: int64 (chunk, clusters).

    The draws are a function of the number of clusters and the seed; `images` only sizes the chunks.
    """
    generator = np.random.default_rng(seed)
    rows = max(1, CHUNK // max(clusters, images))
    for start in range(0, replicates, rows):
        count = min(rows, replicates - start)
        drawn = generator.integers(clusters, size=(count, clusters))
        drawn += np.arange(count)[:, None] * clusters
        yield np.bincount(drawn.ravel(), minlength=count * clusters).reshape(count, clusters)


class Ranked:
    """What is computed once for all replicates: the ranking, and sums per cluster that make plain means."""

    def __init__(self, target: ArrayLike, probability: ArrayLike, cluster: np.ndarray, threshold: float | None) -> None:
        """Take `cluster` as a number 0 to clusters - 1 for each image."""
        self.ranking = Ranking(target, probability)
        self.size = int(cluster.max()) + 1
        self.cluster = cluster[self.ranking.order]
        error = (np.asarray(probability, np.float64) - np.asarray(target, np.float64)) ** 2
        self.error = np.bincount(cluster, error)
        self.images = np.bincount(cluster).astype(np.float64)
        self.outcomes = None
        if threshold is not None:
            cells = outcomes(target, probability, threshold).T
            self.outcomes = np.stack([np.bincount(cluster, cell) for cell in cells], axis=-1)


def _metrics(ranked: Ranked, draws: np.ndarray) -> dict[str, np.ndarray]:
    steps = ranked.ranking.steps(draws.take(ranked.cluster, axis=1))
    auroc = auroc_of(steps)
    values = {
        "auroc": auroc,
        "average_precision": average_precision_of(steps),
        "brier": (draws @ ranked.error) / (draws @ ranked.images),
    }
    if ranked.outcomes is not None:
        cells = Confusion(*np.moveaxis(draws @ ranked.outcomes, -1, 0))
        values |= {"sensitivity": cells.sensitivity, "specificity": cells.specificity}
    return {name: np.where(np.isnan(auroc), np.nan, value) for name, value in values.items()}
