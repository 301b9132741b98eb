"""Confidence intervals by a bootstrap of patients, because the images of one patient are not independent.

A replicate draws as many patients as there are, with replacement. Each image then has the weight of its patient: the
number of times that the patient was drawn. Metrics are functions of sums that are linear in these weights (see
`metrics`), so each sum is first added up by patient, once for all replicates. A block of replicates is then one product
of this sparse matrix, (sums, patients), with the weights, (patients, block).

The cost of one model, for n images, k patients, r replicates and p distinct scores of melanomas: one sort of the
scores, at most r * n multiply-adds for the product (about half a nanosecond each), and about thirty passes over r * p
numbers for the metrics. The r * k draws are shared by all models. The jackknife adds `GROUPS` replicates. The memory,
besides the metrics of the replicates, is about 100 bytes for each image and model, and 24 * `BLOCK` bytes for each
patient. One thread computes everything in a fixed order, so the same seed gives the same bits on any number of cores.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Generic, NamedTuple, TypedDict, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse, special

from melanoma.stats.metrics import NON_SMOOTH, Floats, Measure, measured

BLOCK = 32  # replicates at once: the weights of 2,000 patients fit the cache of the processor
GROUPS = 200  # the jackknife leaves out one group of patients at a time; with fewer patients, one patient
# These compare labels with sums of predicted risks, of which a few patients with many high risks make a large part.
SUMS_OF_RISKS = frozenset({"calibration_intercept", "observed_expected", "ici", "adaptive_ece"})
# How often the two ends of an interval remove the bias, where the replicates are too high: see `_centers`.
UPWARD_BIAS = (2, 1)
PRECISION_BIAS = (7, 2)  # of average precision, see `average_precision_interval`
Key = TypeVar("Key", bound=Hashable)


class Interval(TypedDict):
    """A metric and its confidence interval. Where there is none, it is NaN, and null in JSON files."""

    value: float  # the metric of the images as they are
    low: float | None
    high: float | None


class Estimate(NamedTuple):
    """A metric of the images as they are, its interval (NaN for none), and the number of replicates without a value."""

    value: float
    low: float
    high: float
    undefined: int

    @property
    def bounds(self) -> Interval:
        """The value and the ends of the interval by name."""
        return {"value": self.value, "low": self.low, "high": self.high}


def estimate(
    measures: Mapping[Key, Measure],
    target: ArrayLike,
    clusters: ArrayLike,
    replicates: int = 2000,
    confidence_level: float = 0.95,
    seed: int = 1,
) -> dict[Key, dict[str, Estimate]]:
    """Return each metric of each measure with its confidence interval.

    `target` is 0/1 and `clusters` names the patient of each image, both (n,).
    """
    n_clusters = independent_clusters(target, clusters)
    resampling = Resampling(measures, clusters)
    replicated, left_out = resampling.replicate(replicates, seed), resampling.leave_out(seed)
    return {
        key: {
            name: metric_interval(
                name, float(value), replicated[key][name], left_out[key][name], confidence_level, n_clusters
            )
            for name, value in measured(measure).items()
        }
        for key, measure in measures.items()
    }


class Resampling(Generic[Key]):
    """Measures of the same images, summed by patient, so that any weights of the patients give their metrics.

    The same patients and the same seed give the same draws, whatever is measured. So differences between models are
    paired.
    """

    def __init__(self, measures: Mapping[Key, Measure], clusters: ArrayLike) -> None:
        """Take `clusters`, (n,), the patient of each image."""
        names, cluster = np.unique(np.asarray(clusters), return_inverse=True)
        member = sparse.csr_array((np.ones(len(cluster)), (np.arange(len(cluster)), cluster)))
        self.clusters = len(names)
        self.measures = measures
        self.summed = {key: (measure.matrix @ member).tocsr() for key, measure in measures.items()}

    def replicate(self, replicates: int, seed: int) -> dict[Key, dict[str, Floats]]:
        """Return each metric in each bootstrap replicate: float64 (replicates,), NaN where undefined."""
        return self._measured(draw(self.clusters, replicates, seed))

    def leave_out(self, seed: int) -> dict[Key, dict[str, Floats]]:
        """Return each metric without each group of patients: float64 (groups,), NaN where undefined."""
        return self._measured(leave_out(self.clusters, seed))

    def _measured(self, weights: Iterable[Floats]) -> dict[Key, dict[str, Floats]]:
        blocks: dict[Key, list[dict[str, Floats]]] = {key: [] for key in self.measures}
        for weight in weights:
            for key, measure in self.measures.items():
                blocks[key].append(measure.metrics(self.summed[key] @ weight))
        return {
            key: {name: np.concatenate([block[name] for block in metrics]) for name in metrics[0]}
            for key, metrics in blocks.items()
        }


def draw(clusters: int, replicates: int, seed: int) -> Iterator[Floats]:
    """Yield, block by block, how often each cluster is drawn in each replicate: float64 (clusters, block).

    The draws depend on the number of clusters and the seed only. The first draws of many replicates are those of few.
    """
    generator = np.random.default_rng(seed)
    for start in range(0, replicates, BLOCK):
        count = min(BLOCK, replicates - start)
        drawn = generator.integers(clusters, size=(count, clusters))
        drawn += np.arange(count)[:, None] * clusters  # one bincount counts all replicates of the block
        counts = np.bincount(drawn.ravel(), minlength=count * clusters).reshape(count, clusters)
        yield np.ascontiguousarray(counts.T, dtype=np.float64)


def leave_out(clusters: int, seed: int) -> Iterator[Floats]:
    """Yield, block by block, the weights of the jackknife: float64 (clusters, block).

    Each column has 0 for the clusters of one group and 1 for the others. There are at most `GROUPS` groups.
    """
    groups = min(clusters, GROUPS)
    group = np.random.default_rng(seed).permutation(clusters) % groups
    for start in range(0, groups, BLOCK):
        yield (group[:, None] != np.arange(start, min(start + BLOCK, groups))).astype(np.float64)


# Below, theta is the metric of the images as they are (`value`), theta* its values in the bootstrap replicates
# (`replicated`), s their standard deviation, u_g the influence of group g of the jackknife (from `left_out`), G the
# number of groups and m the number of independent clusters. docs/evaluation.md has the same symbols and formulas.


def metric_interval(
    name: str, value: float, replicated: Floats, left_out: Floats, confidence_level: float, n_clusters: float
) -> Estimate:
    """Return the interval of the metric `name`. At an AUROC of 0 it mirrors that at 1.

    A metric of `SUMS_OF_RISKS` has at most `contributing_clusters`. Average precision has an interval of its own.
    """
    if name == "auroc" and value == 0:
        mirrored = metric_interval(name, 1.0, 1 - replicated, 1 - left_out, confidence_level, n_clusters)
        return Estimate(0.0, 1 - mirrored.high, 1 - mirrored.low, mirrored.undefined)
    if name in SUMS_OF_RISKS:
        n_clusters = min(n_clusters, contributing_clusters(left_out))
    if name == "average_precision":
        return average_precision_interval(value, replicated, left_out, confidence_level, n_clusters)
    kind = non_smooth_interval if name in NON_SMOOTH else interval
    return kind(value, replicated, left_out, confidence_level, n_clusters)


def interval(
    value: float,
    replicated: Floats,
    left_out: Floats,
    confidence_level: float,
    n_clusters: float,
    upward_bias: tuple[int, int] = UPWARD_BIAS,
) -> Estimate:
    """Return the interval of a metric that is smooth in the weights of patients, or of a difference of two of them.

    It is the accelerated percentile interval of `non_smooth_interval` with three changes.

    - The number of clusters is at most `effective_clusters`.
    - The half-width is that of the mean of two variances, of the bootstrap (s^2) and of the jackknife (s_J^2), because
      in small samples the first is too small for a curved metric such as average precision, and the second is too large
      (Efron and Stein, Annals of Statistics 9:586, 1981).
    - The bias of the replicates is corrected, see `_centers`.
    """
    defined = replicated[~np.isnan(replicated)]
    spread = float(defined.std()) if len(defined) else 0.0
    if n_clusters < 2 or spread == 0:  # there is neither a variance nor a bias
        return non_smooth_interval(value, replicated, left_out, confidence_level, n_clusters)
    error = jackknife_error(left_out) or spread  # 0 if no single group moves the metric: the jackknife tells nothing
    # q = sqrt(nu / (nu - 1)) * t * sqrt((s^2 + s_J^2) / (2 s^2)), the half-width in units of s
    half_width = student(min(n_clusters, effective_clusters(left_out)), confidence_level) * np.sqrt(
        (1 + (error / spread) ** 2) / 2
    )
    centers = _centers(float(value - defined.mean()), spread, upward_bias)
    return _percentiles(value, replicated, left_out, centers, half_width)


def average_precision_interval(
    value: float, replicated: Floats, left_out: Floats, confidence_level: float, n_clusters: float
) -> Estimate:
    """Return the interval of an average precision: that of `interval`, further down.

    The precision at the highest scores rests on the few patients who have benign images there. A sample that lacks such
    patients has too high a value, and neither its variance nor its bias tells so. So an upward bias is removed more
    often, `PRECISION_BIAS`, and for the lower end there are at most `contributing_clusters`. These numbers were chosen
    on simulated cohorts. In a large sample the bias is small, and the interval is close to that of `interval`.
    """
    drawn = replicated, left_out, confidence_level
    contributing = min(n_clusters, contributing_clusters(left_out))
    low = interval(value, *drawn, contributing, PRECISION_BIAS).low
    return interval(value, *drawn, n_clusters, PRECISION_BIAS)._replace(low=low)


def non_smooth_interval(
    value: float, replicated: Floats, left_out: Floats, confidence_level: float, n_clusters: float
) -> Estimate:
    """Return the interval of a metric that is not smooth in the weights of patients, as a sensitivity at a specificity.

    It is a percentile interval over the replicates that have a value, with two corrections. With few clusters the
    percentiles are too close to each other, so they move outwards as Student's t does for a mean (Hesterberg, The
    American Statistician 69:371, 2015). And both move to the side on which the standard error grows, by the
    acceleration of Efron's BCa interval (Journal of the American Statistical Association 82:171, 1987).

    The variance of the jackknife is not used, because it is not consistent for such metrics (Shao and Wu, Annals of
    Statistics 17:1176, 1989). The bias is not corrected, because replicates tie with the value.

    With fewer than two clusters there is no interval. If the metric is 1 in every replicate, resampling tells nothing
    about the lower end: see `exact_low`. Each interval holds its value.
    """
    undefined = int(np.isnan(replicated).sum())
    if n_clusters < 2:
        return Estimate(value, np.nan, np.nan, undefined)
    if value == 1.0 and undefined < len(replicated) and np.nanmin(replicated) == 1.0:
        return Estimate(1.0, exact_low(n_clusters, confidence_level), 1.0, undefined)
    return _percentiles(value, replicated, left_out, np.zeros(2), student(n_clusters, confidence_level))


def _percentiles(value: float, replicated: Floats, left_out: Floats, centers: Floats, half_width: float) -> Estimate:
    """Return Q(Phi(z_low - q / (1 + a q))) and Q(Phi(z_high + q / (1 - a q))).

    Q is the quantile function of the replicates, Phi the normal distribution function, (z_low, z_high) are the
    `centers`, q is the `half_width` and a the acceleration.
    """
    defined = replicated[~np.isnan(replicated)]
    undefined = len(replicated) - len(defined)
    if len(defined) == 0 or np.isnan(value):
        return Estimate(value, np.nan, np.nan, undefined)
    level = np.array([-half_width, half_width])
    # With very few clusters, 1 - a q may be 0 or less, the pole of the formula. Then the end is the extreme replicate.
    slowed = np.maximum(1 - acceleration(left_out) * level, np.finfo(np.float64).eps)
    low, high = np.quantile(defined, special.ndtr(centers + level / slowed))
    return Estimate(value, min(float(low), value), max(float(high), value), undefined)


def _centers(distance: float, spread: float, upward_bias: tuple[int, int]) -> Floats:
    """Return z_low and z_high, the normal quantiles from which the two ends of an interval are counted: (2,).

    With the `distance` d = theta - mean(theta*), the `spread` s, and the numbers b of `upward_bias`,

        z = d / sqrt(s^2 + d^2),  (z_low, z_high) = (b_low z, b_high z) if z < 0, else (z, 2 z)

    By default, b is (2, 1). So the bias of the replicates is removed once on both sides. The value has about the same
    bias itself, and BCa removes the bias twice on both sides. This is too much for a metric with a lower limit, such as
    a calibration error: its replicates have the more bias, the closer the value is to the limit. So here the bias is
    removed twice only on the side where this widens the interval.
    """
    z = distance / np.hypot(spread, distance)
    return np.asarray(z * np.array(upward_bias if z < 0 else UPWARD_BIAS[::-1]), np.float64)


def exact_low(n_clusters: float, confidence_level: float) -> float:
    """Return the lower end ((1 - level) / 2)^(1 / m) of the exact interval of a share, if all m clusters are right.

    Clopper and Pearson, Biometrika 26:404 (1934).
    """
    return float(((1 - confidence_level) / 2) ** (1 / n_clusters))


def student(n_clusters: float, confidence_level: float) -> float:
    """Return the half-width of the interval of a mean of m clusters: sqrt(m / (m - 1)) * t_{m - 1, (1 + level) / 2}.

    Its unit is the standard deviation over bootstrap replicates, whose variance is divided by m and not by m - 1.
    """
    return float(np.sqrt(n_clusters / (n_clusters - 1)) * special.stdtrit(n_clusters - 1, (1 + confidence_level) / 2))


def acceleration(left_out: Floats) -> float:
    """Return a = sum(u^3) / (6 * sum(u^2)^1.5), from the metric without each group of patients."""
    influence = _influence(left_out)
    spread = np.sum(influence**2) ** 1.5
    return float(np.sum(influence**3) / (6 * spread)) if spread > 0 else 0.0


def jackknife_error(left_out: Floats) -> float:
    """Return s_J = (1 - 1 / G) * sqrt(sum(u^2)), the jackknife's standard error of a metric.

    Like the standard deviation of bootstrap replicates it is the root of a variance that is divided by n, not by n - 1.
    For a mean the two are the same.
    """
    influence = _influence(left_out)
    return float((1 - 1 / len(influence)) * np.sqrt(np.sum(influence**2)))


def effective_clusters(left_out: Floats) -> float:
    """Return 1 + 2 G / (kappa - 1), one more than the degrees of freedom of the metric's variance.

    The variance is estimated by a sum of squared influences, and kappa is the kurtosis of the influences. A few
    patients may make most of this sum: for average precision, those with benign images that rank above melanomas. Then
    the sum varies much between samples, like a chi-square with 2 G / (kappa - 1) degrees of freedom (Satterthwaite,
    Biometrics Bulletin 2:110, 1946). The result is 3 or more, and infinite if all influences have the same size.
    """
    influence = _influence(left_out)
    largest = np.abs(influence).max()
    if largest == 0:
        return np.inf
    square = (influence / largest) ** 2  # scaled, because a fourth power may underflow
    excess = float(np.mean(square**2) / np.mean(square) ** 2 - 1)
    return 1 + 2 * len(square) / excess if excess > np.finfo(np.float64).eps else np.inf


def contributing_clusters(left_out: Floats) -> float:
    """Return 1 + (sum u^2)^2 / sum u^4, one more than the number of groups that make the metric's variance.

    This is Kish's effective number of a sample with the weights u^2 (Survey Sampling, 1965), as for cluster-robust
    variances (Carter, Schnepel and Steigerwald, Review of Economics and Statistics 99:698, 2017). It is less than
    `effective_clusters`, whose kurtosis is too low in samples that lack the rare patients with a large influence.
    """
    influence = _influence(left_out)
    largest = np.abs(influence).max()
    if largest == 0:
        return np.inf
    square = (influence / largest) ** 2
    return float(1 + square.sum() ** 2 / np.sum(square**2))


def _influence(left_out: Floats) -> Floats:
    """Return u_g, the mean of the metric over all groups minus the metric without group g: (groups,)."""
    defined = left_out[~np.isnan(left_out)]
    return np.asarray(defined.mean() - defined, np.float64) if len(defined) else np.zeros(1)


def independent_clusters(target: ArrayLike, clusters: ArrayLike) -> int:
    """Return m, the number of patients with an image of the rarer class, because a metric rests on no more patients."""
    target, clusters = np.asarray(target), np.asarray(clusters)
    return min(len(np.unique(clusters[target == label])) for label in (0, 1))
