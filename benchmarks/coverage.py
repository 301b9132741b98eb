"""Simulates the coverage of the 95 % confidence intervals and the type I error of the paired tests.

python benchmarks/coverage.py --processes 4        writes results/coverage.md

Cohorts are drawn from a binormal model: the score of a melanoma is `SHIFT` standard deviations higher, and the scores
of a patient's images are correlated (intra-patient correlation). Probabilities are over-confident, so that the true
calibration error is not 0. The true metrics are computed by the same code on the quantiles of the model. The kind of
interval was selected on cohorts of other seeds; see docs/evaluation.md. The plain percentile and the BCa
interval of the same replicates stand beside it.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np
from measurement import conditions, markdown, parser, publish
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr, ndtri
from scipy.stats import norm

from melanoma.stats.bootstrap import Resampling, acceleration, independent_clusters, metric_interval
from melanoma.stats.comparison import paired_test
from melanoma.stats.delong import delong_test
from melanoma.stats.metrics import Calibration, Measure, NetBenefit, Outcomes, Ranking, measured
from melanoma.stats.prevalence import NetBenefitAt, OutcomesAt, RankingAt
from melanoma.stats.recalibration import CalibrationCurve, Recalibration

RESULTS = Path(__file__).parent / "results" / "coverage.md"
PREVALENCE, SHIFT, OVERCONFIDENCE, QUANTILES = 0.02, 2.0, 1.4, 200_000
CLINIC = 0.01  # the stated prevalence
METHODS = ("ours", "percentile", "BCa")
COHORTS = {  # patients, with 16 images each on average, and correlations
    "a test of a fifth of ISIC 2020": (411, (0.0, 0.3, 0.5, 0.7)),
    "the whole of ISIC 2020": (2056, (0.0, 0.7)),
}
REQUIRED = (0.935, 0.965)
FIRST_SEED = 2_000_000  # nothing was selected on the cohorts from this seed on


def measures(target: NDArray[np.integer], score: NDArray[np.float64]) -> dict[str, Measure]:
    """Return all measures, with the rates at one threshold and the net benefit at two threshold probabilities."""
    probability = predicted(score)
    thresholds = [0.02, 0.1]
    return {
        "": Ranking(target, score),
        "probabilities: ": Calibration(target, probability),
        "at a threshold: ": Outcomes(target, score, SHIFT / 2),
        "net benefit at ": NetBenefit(target, probability, thresholds),
        "calibration: ": Recalibration(target, probability),
        "calibration curve: ": CalibrationCurve(target, probability),
        f"at a prevalence of {CLINIC:.0%}: ": RankingAt(target, score, CLINIC),
        f"at a threshold and a prevalence of {CLINIC:.0%}: ": OutcomesAt(target, score, SHIFT / 2, CLINIC),
        f"at a prevalence of {CLINIC:.0%}, net benefit at ": NetBenefitAt(target, probability, thresholds, CLINIC),
    }


def predicted(score: NDArray[np.float64], overconfidence: float = OVERCONFIDENCE) -> NDArray[np.float64]:
    """Return the probabilities of the model, or with an over-confidence of 1 the true ones."""
    return expit(overconfidence * SHIFT * (score - SHIFT / 2) + logit(PREVALENCE))


def truth() -> dict[str, float]:
    """Return the true value of each metric."""
    quantiles = norm.ppf((np.arange(QUANTILES) + 0.5) / QUANTILES)
    target = np.repeat([1, 0], QUANTILES)
    weight = np.repeat([PREVALENCE, 1 - PREVALENCE], QUANTILES)
    kinds = measures(target, np.concatenate([quantiles + SHIFT, quantiles]))
    # A weighted step is no maximum of the likelihood, so these take quantiles of all images, with true risks as labels.
    grid = np.linspace(-8, 10, 1_000_001)
    share = PREVALENCE * norm.cdf(grid - SHIFT) + (1 - PREVALENCE) * norm.cdf(grid)
    mixed = np.interp((np.arange(QUANTILES) + 0.5) / QUANTILES, share, grid)
    pair = predicted(mixed, 1.0), predicted(mixed)
    values = {
        kind: measured(type(m)(*pair)) if isinstance(m, Recalibration | CalibrationCurve) else measured(m, weight)
        for kind, m in kinds.items()
    }
    return {f"{kind}{name}": float(value) for kind, named in values.items() for name, value in named.items()}


def cohort(
    seed: int, patients: int, correlation: float
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Draw labels (n,), the scores of two models of equal performance (2, n), and patients (n,)."""
    random = np.random.default_rng([seed, patients, round(100 * correlation)])
    images = np.minimum(1 + random.geometric(1 / 15.5, patients), 115)
    patient = np.repeat(np.arange(patients), images)
    target = (random.random(len(patient)) < PREVALENCE).astype(int)
    return target, scores(random, target, patient, correlation, 2), patient


def scores(
    random: np.random.Generator,
    target: NDArray[np.int64],
    patient: NDArray[np.int64],
    correlation: float,
    models: int,
) -> NDArray[np.float64]:
    """Draw the scores of `models` independent models of equal performance: (models, n)."""
    shared = random.normal(size=(models, patient.max() + 1))[:, patient]
    independent = random.normal(size=(models, len(patient)))
    return SHIFT * target + np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * independent


def percentile(value: float, replicated: NDArray[np.float64], left_out: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ends of the plain percentile interval: (2,)."""
    return np.nanquantile(replicated, [0.025, 0.975])


def bca(value: float, replicated: NDArray[np.float64], left_out: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ends of Efron's BCa interval: (2,)."""
    defined = replicated[~np.isnan(replicated)]
    below = ((defined < value).mean() + (defined <= value).mean()) / 2
    center = ndtri(np.clip(below, 1 / len(defined), 1 - 1 / len(defined)))
    level = center + norm.ppf([0.025, 0.975])
    return np.quantile(defined, ndtr(center + level / (1 - acceleration(left_out) * level)))


def covered(
    seed: int, patients: int, correlation: float, replicates: int, expected: dict[str, float]
) -> list[tuple[bool, ...]]:
    """Return for one cohort whether each interval, by `METHODS`, covers the true value, and which tests reject."""
    target, (score, other), patient = cohort(seed, patients, correlation)
    kinds = measures(target, score)
    resampling = Resampling({**kinds, "other": Ranking(target, other)}, patient)
    replicated, left_out = resampling.replicate(replicates, seed), resampling.leave_out(seed)
    n_clusters = independent_clusters(target, patient)
    results = []
    for kind, measure in kinds.items():
        for name, value in measured(measure).items():
            drawn = replicated[kind][name], left_out[kind][name]
            ours = metric_interval(name, float(value), *drawn, 0.95, n_clusters)
            ends = (ours.low, ours.high), percentile(float(value), *drawn), bca(float(value), *drawn)
            results.append(tuple(bool(low <= expected[f"{kind}{name}"] <= high) for low, high in ends))
    delong = delong_test(target, score, other)
    clustered = paired_test(delong.difference, replicated[""]["auroc"] - replicated["other"]["auroc"], n_clusters)
    return [*results, *((test.p < 0.05,) * len(METHODS) for test in (clustered, delong))]


def main() -> None:
    """Simulate and publish."""
    options = parser(__doc__)
    options.add_argument("--cohorts", type=int, default=2000)
    options.add_argument("--replicates", type=int, default=1000)
    options.add_argument("--processes", type=int, default=os.cpu_count())
    args = options.parse_args()
    expected = truth()
    seeds = range(FIRST_SEED, FIRST_SEED + args.cohorts)
    page = ["# Coverage of the 95 % confidence intervals\n"]
    with ProcessPoolExecutor(args.processes) as pool:
        for size, (patients, correlations) in COHORTS.items():
            columns = []
            for correlation in correlations:
                settings = {"patients": patients, "correlation": correlation, "replicates": args.replicates}
                one = partial(covered, **settings, expected=expected)
                columns.append(np.mean(list(pool.map(one, seeds, chunksize=10)), axis=0))
                print(size, correlation, np.round(columns[-1], 3), flush=True)
            names = [*expected, "paired test rejects: clustered bootstrap", "paired test rejects: DeLong"]
            rows = []
            for name, by_method in zip(names, np.transpose(columns, (1, 2, 0)), strict=True):
                shown = by_method[:1] if "rejects" in name else by_method
                rows.append([name, *(" / ".join(f"{share:.1%}" for share in column) for column in shown.T)])
            header = [f"intra-patient correlation: {' / '.join(METHODS)}", *map(str, correlations)]
            page.append(f"## {patients:,} patients, {size}\n\n{markdown(header, rows)}")
    how = f"{args.cohorts:,} cohorts each, {args.replicates:,} replicates, 2 % melanomas, 16 images a patient"
    page.append(
        f"The coverage of the AUROC must be {REQUIRED[0]:.1%} to {REQUIRED[1]:.1%}. The simulation error is about ±"
        f"{1.96 * np.sqrt(0.05 * 0.95 / args.cohorts):.1%}. {conditions(how)}"
    )
    publish(RESULTS, *page)


if __name__ == "__main__":
    main()
