"""Intervals and tests by resampling patients, for images of one patient are not independent.

A replicate draws as many patients as there are, with replacement, and each image then counts as often as its patient
was drawn. Metrics are functions of sums that are linear in these counts (see `metrics`), so the sums are first added up
by patient, once for all replicates; a block of replicates is then one product of that sparse matrix, (sums, patients),
with the drawn counts, (patients, block).

Cost, for n images, k patients, p distinct scores of melanomas and r replicates: one sort of the scores of each model;
r * k draws, shared by all models; at most r * n multiply-adds a model for the product, about half a nanosecond each;
and some thirty passes over r * p numbers a model for the metrics. The jackknife is `GROUPS` replicates more. Memory,
besides the replicated metrics: some 100 bytes an image and model for the matrices, and 24 * `BLOCK` bytes a patient for
the draws. One thread does it all: each sum has one order, and the same seed gives the same bits on any number of cores.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse, special

from melanoma.stats.metrics import NON_SMOOTH, Measure, measured

BLOCK = 32  # replicates at once: the drawn counts of 2,000 patients fit the processor's cache
GROUPS = 200  # of patients, left out one after the other by the jackknife; fewer patients are left out singly
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
    confidence_level: float = 0.95,
    seed: int = 1,
) -> dict[Key, dict[str, Estimate]]:
    """Estimate each metric of each measure with its interval; see `replicate` and `interval`."""
    n_clusters = independent_clusters(target, clusters)
    resampling = Resampling(measures, clusters)
    replicated, left_out = resampling.replicate(replicates, seed), resampling.leave_out(seed)
    return {
        key: {
            name: interval_of(name)(value, replicated[key][name], left_out[key][name], confidence_level, n_clusters)
            for name, value in measured(measure).items()
        }
        for key, measure in measures.items()
    }


class Resampling(Generic[Key]):
    """Measures of the same images, summed by patient, to be measured again and again with other patients.

    The same patients and the same seed draw the same patients, whatever is measured; so differences between models are
    paired.
    """

    def __init__(self, measures: Mapping[Key, Measure], clusters: ArrayLike) -> None:
        """Take `clusters`, (n,), the patient of each image."""
        known, cluster = np.unique(np.asarray(clusters), return_inverse=True)
        member = sparse.csr_array((np.ones(len(cluster)), (np.arange(len(cluster)), cluster)))
        self.clusters = len(known)
        self.measures = measures
        self.summed = {key: (measure.matrix @ member).tocsr() for key, measure in measures.items()}

    def replicate(self, replicates: int, seed: int) -> dict[Key, dict[str, np.ndarray]]:
        """Return each metric in each bootstrap replicate: float64 (replicates,), NaN where undefined."""
        return self._measured(draw(self.clusters, replicates, seed))

    def leave_out(self, seed: int) -> dict[Key, dict[str, np.ndarray]]:
        """Return each metric without each group of patients: float64 (groups,), NaN where undefined."""
        return self._measured(leave_out(self.clusters, seed))

    def _measured(self, weights: Iterable[np.ndarray]) -> dict[Key, dict[str, np.ndarray]]:
        blocks: dict[Key, list[dict[str, np.ndarray]]] = {key: [] for key in self.measures}
        for weight in weights:
            for key, measure in self.measures.items():
                blocks[key].append(measure.metrics(self.summed[key] @ weight))
        return {
            key: {name: np.concatenate([block[name] for block in made]) for name in made[0]}
            for key, made in blocks.items()
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


def leave_out(clusters: int, seed: int) -> Iterator[np.ndarray]:
    """Yield, block by block, 0 for the clusters of each of at most `GROUPS` groups and 1 for the others, as `draw`."""
    groups = min(clusters, GROUPS)
    group = np.random.default_rng(seed).permutation(clusters) % groups
    for start in range(0, groups, BLOCK):
        yield (group[:, None] != np.arange(start, min(start + BLOCK, groups))).astype(np.float64)


def interval_of(name: str) -> Callable[[ArrayLike, np.ndarray, np.ndarray, float, int], Estimate]:
    """Return how the interval of a metric is made, by the metric's name."""
    return non_smooth_interval if name in NON_SMOOTH else interval


def interval(
    value: ArrayLike, replicated: np.ndarray, left_out: np.ndarray, confidence_level: float, n_clusters: int
) -> Estimate:
    """Return the interval of a metric that is smooth in the weights of patients, as of a difference of two such.

    It is the accelerated percentile interval, as `non_smooth_interval`, with more from the metric without each group of
    patients, `left_out` (groups,). It may rest on fewer clusters, its `effective_clusters`, and levels are counted in
    the mean of two variances: the replicates of a curved metric, such as average precision, vary too little, and the
    jackknife rather too much (Efron and Stein, Annals of Statistics 9:586, 1981). And such a metric may be biased, see
    `_centers`.
    """
    defined = replicated[~np.isnan(replicated)]
    spread = defined.std() if len(defined) else 0.0
    if n_clusters < 2 or spread == 0:  # there is neither a variance nor a bias
        return non_smooth_interval(value, replicated, left_out, confidence_level, n_clusters)
    error = jackknife_error(left_out) or spread  # 0 where no group moves the metric alone, which tells nothing
    outwards = student(min(n_clusters, effective_clusters(left_out)), confidence_level) * np.sqrt(
        (1 + (error / spread) ** 2) / 2
    )
    return _percentiles(value, replicated, left_out, _centers(float(value) - defined.mean(), spread), outwards)


def non_smooth_interval(
    value: ArrayLike, replicated: np.ndarray, left_out: np.ndarray, confidence_level: float, n_clusters: int
) -> Estimate:
    """Return the interval of a metric that is not smooth, over the replicates that define it.

    The levels of the percentiles are moved outwards, for percentiles of few independent clusters are too near each
    other, as a normal interval without Student's t is (Hesterberg, The American Statistician 69:371, 2015), and to the
    side on which the metric's standard error grows, by the acceleration of Efron's BCa interval (Journal of the
    American Statistical Association 82:171, 1987), from the metric without each group of patients, (groups,). The
    jackknife's variance means nothing here, for it is not consistent for such metrics (Shao and Wu, Annals of
    Statistics 17:1176, 1989), and replicates tie with the value.

    There is no interval of less than two clusters, and each holds its value. Where no replicate is less than perfect,
    resampling tells nothing: see `exact_low`.
    """
    undefined = int(np.isnan(replicated).sum())
    if n_clusters < 2:
        return Estimate(float(value), np.nan, np.nan, undefined)
    if value == 1.0 and undefined < len(replicated) and np.nanmin(replicated) == 1.0:
        return Estimate(1.0, exact_low(n_clusters, confidence_level), 1.0, undefined)
    return _percentiles(value, replicated, left_out, np.zeros(2), student(n_clusters, confidence_level))


def _percentiles(
    value: ArrayLike, replicated: np.ndarray, left_out: np.ndarray, centers: np.ndarray, outwards: float
) -> Estimate:
    """Return the percentiles at the levels `outwards` of two centers, accelerated."""
    value = float(value)
    defined = replicated[~np.isnan(replicated)]
    undefined = len(replicated) - len(defined)
    if len(defined) == 0 or np.isnan(value):
        return Estimate(value, np.nan, np.nan, undefined)
    level = np.array([-outwards, outwards])
    # So few clusters that the acceleration passes the pole leave the farthest percentile.
    slowed = np.maximum(1 - acceleration(left_out) * level, np.finfo(np.float64).eps)
    low, high = np.quantile(defined, special.ndtr(centers + level / slowed))
    return Estimate(value, min(float(low), value), max(float(high), value), undefined)


def _centers(distance: float, spread: float) -> np.ndarray:
    """Return the levels from which those of the lower and of the upper end are counted, (2,).

    It is the value's level, by its distance from the mean of the replicates, in their root mean square distance from
    it: so the bias that replicates have and the value has not is taken off. The value has about the same bias itself,
    and BCa takes it off twice, at both ends. Of a metric with a floor, such as a calibration error, that is too much at
    the inner end, for its replicates are the more biased the nearer the value has come to the floor; so here only the
    end that moves outwards is moved twice.
    """
    once = distance / np.hypot(spread, distance)
    return once + np.array([min(once, 0.0), max(once, 0.0)])


def exact_low(n_clusters: int, confidence_level: float) -> float:
    """Return the lower end of the exact interval of a share, where each of `n_clusters` was classified right.

    Clopper and Pearson, Biometrika 26:404 (1934).
    """
    return float(((1 - confidence_level) / 2) ** (1 / n_clusters))


def student(n_clusters: float, confidence_level: float) -> float:
    """Return how many of a mean's standard deviations, those of a variance over `n_clusters`, an interval reaches."""
    return float(np.sqrt(n_clusters / (n_clusters - 1)) * special.stdtrit(n_clusters - 1, (1 + confidence_level) / 2))


def acceleration(left_out: np.ndarray) -> float:
    """Return a sixth of the skewness of the metric's estimate, from its values without each group of patients."""
    influence = _influence(left_out)
    spread = np.sum(influence**2) ** 1.5
    return float(np.sum(influence**3) / (6 * spread)) if spread > 0 else 0.0


def jackknife_error(left_out: np.ndarray) -> float:
    """Return the jackknife's standard error of a metric, from its values without each group of patients.

    Like the standard deviation of bootstrap replicates it is that of a variance divided by n, not by n - 1: of a mean
    both are the same.
    """
    influence = _influence(left_out)
    return float((1 - 1 / len(influence)) * np.sqrt(np.sum(influence**2)))


def effective_clusters(left_out: np.ndarray) -> float:
    """Return one more than the degrees of freedom of the metric's variance, from its values without each group.

    The variance is estimated by a sum of squared influences. Where a few patients make up most of it, as the few whose
    benign images outrank melanomas do of average precision, it varies much between samples: like a chi-square of
    2 * groups / (kurtosis - 1) degrees of freedom (Satterthwaite, Biometrics Bulletin 2:110, 1946). Never less than 3;
    infinite where all influences are equally large.
    """
    influence = _influence(left_out)
    largest = np.abs(influence).max()
    if largest == 0:
        return np.inf
    square = (influence / largest) ** 2
    excess = float(np.mean(square**2) / np.mean(square) ** 2 - 1)
    return 1 + 2 * len(square) / excess if excess > np.finfo(np.float64).eps else np.inf


def _influence(left_out: np.ndarray) -> np.ndarray:
    defined = left_out[~np.isnan(left_out)]
    return defined.mean() - defined if len(defined) else np.zeros(1)


def independent_clusters(target: ArrayLike, clusters: ArrayLike) -> int:
    """Return how many patients have an image of the rarer class: no metric of both classes rests on more."""
    target, clusters = np.asarray(target), np.asarray(clusters)
    return min(len(np.unique(clusters[target == label])) for label in (0, 1))
