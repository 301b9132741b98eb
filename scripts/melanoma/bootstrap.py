"""Intervals and tests by resampling patients, for images of one patient are not independent.

A replicate draws as many patients as there are, with replacement, and each image then counts as often as its patient
was drawn. Metrics are functions of sums that are linear in these counts (see `metrics`), so the sums are first added up
by patient, once for all replicates; a block of replicates is then one product of that sparse matrix, (sums, patients),
with the drawn counts, (patients, block).

Cost, for n images, k patients, p distinct scores of melanomas and r replicates: one sort of the scores of each model;
r * k draws, shared by all models; at most r * n multiply-adds a model for the product, about half a nanosecond each;
and some thirty passes over r * p numbers a model for the metrics. Memory, besides the replicated metrics: some 30 bytes
an image and model for the matrices, and 24 * `BLOCK` bytes a patient for the draws. One thread does it all: each sum
has one order, and the same seed gives the same bits on any number of cores.
"""

from collections.abc import Hashable, Iterator, Mapping
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse, special

from melanoma.metrics import Measure, measured

BLOCK = 32  # replicates at once: the drawn counts of 2,000 patients fit the processor's cache
Key = TypeVar("Key", bound=Hashable)


class Estimate(NamedTuple):
    """A metric of the images as they are, its interval, NaN for none, and how many replicates leave it undefined."""

    value: float
    low: float
    high: float
    undefined: int

    @property
    def bounds(self) -> dict[str, float]:
        """Return value, low and high by name."""
        return {"value": self.value, "low": self.low, "high": self.high}


def estimate(
    measures: Mapping[Key, Measure],
    target: ArrayLike,
    clusters: ArrayLike,
    replicates: int = 2000,
    confidence: float = 0.95,
    seed: int = 1,
) -> dict[Key, dict[str, Estimate]]:
    """Estimate each metric of each measure with its interval; see `replicate` and `interval`."""
    units = independent_units(target, clusters)
    replicated = replicate(measures, clusters, replicates, seed)
    return {
        key: {
            name: interval(value, replicated[key][name], confidence, units) for name, value in measured(measure).items()
        }
        for key, measure in measures.items()
    }


def replicate(
    measures: Mapping[Key, Measure], clusters: ArrayLike, replicates: int, seed: int
) -> dict[Key, dict[str, np.ndarray]]:
    """Return each metric of each measure in each replicate: float64 (replicates,), NaN where undefined.

    All measures are of the same images, and `clusters` (n,) is the patient of each. The same patients and the same seed
    draw the same patients, whatever is measured; so differences between models are paired.
    """
    known, cluster = np.unique(np.asarray(clusters), return_inverse=True)
    member = sparse.csr_array((np.ones(len(cluster)), (np.arange(len(cluster)), cluster)))
    summed = {key: (measure.matrix @ member).tocsr() for key, measure in measures.items()}
    blocks: dict[Key, list[dict[str, np.ndarray]]] = {key: [] for key in measures}
    for drawn in draw(len(known), replicates, seed):
        for key, measure in measures.items():
            blocks[key].append(measure.metrics(summed[key] @ drawn))
    return {
        key: {name: np.concatenate([block[name] for block in made]) for name in made[0]} for key, made in blocks.items()
    }


def draw(clusters: int, replicates: int, seed: int) -> Iterator[np.ndarray]:
    """Yield, block by block, how often each cluster is drawn in each replicate: float64 (clusters, block).

    The draws are a function of the number of clusters and the seed; the first of more replicates are those of fewer.
    """
    generator = np.random.default_rng(seed)
    for start in range(0, replicates, BLOCK):
        count = min(BLOCK, replicates - start)
        drawn = generator.integers(clusters, size=(count, clusters))
        drawn += np.arange(count)[:, None] * clusters
        counts = np.bincount(drawn.ravel(), minlength=count * clusters).reshape(count, clusters)
        yield np.ascontiguousarray(counts.T, dtype=np.float64)


def interval(value: ArrayLike, replicated: np.ndarray, confidence: float, units: int) -> Estimate:
    """Return the expanded percentile interval over the replicates, (replicates,), that define the metric.

    Percentiles of few independent `units` are too near each other, as a normal interval without Student's t is; their
    levels are moved outwards by as much (Hesterberg, The American Statistician 69:371, 2015). There is no interval of
    less than two units.
    """
    defined = replicated[~np.isnan(replicated)]
    undefined = len(replicated) - len(defined)
    if len(defined) == 0 or units < 2:
        return Estimate(float(value), np.nan, np.nan, undefined)
    tail = special.ndtr(np.sqrt(units / (units - 1)) * special.stdtrit(units - 1, (1 - confidence) / 2))
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Estimate(float(value), float(low), float(high), undefined)


def independent_units(target: ArrayLike, clusters: ArrayLike) -> int:
    """Return how many patients have an image of the rarer class: no metric of both classes rests on more."""
    target, clusters = np.asarray(target), np.asarray(clusters)
    return min(len(np.unique(clusters[target == label])) for label in (0, 1))
