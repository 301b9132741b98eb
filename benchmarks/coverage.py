"""How often a 95 % interval holds the truth, and how often a paired test finds a difference that is not there.

python benchmarks/coverage.py --processes 4        writes results/coverage.md

Cohorts are drawn from a binormal model: a melanoma's score is `SHIFT` standard deviations higher, and the images of a
patient share a part of their score, the intra-patient correlation. Probabilities are over-confident on purpose, so that
the calibration error to be covered is not 0. The truth is the same code's metric on the quantiles of the model. The
kind of interval was chosen on cohorts of other seeds; docs/evaluation.md has how.
"""

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np
from conditions import conditions, markdown
from scipy.special import expit, logit
from scipy.stats import norm

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from melanoma.common.files import write_text
from melanoma.stats.bootstrap import Resampling, independent_clusters, interval_of
from melanoma.stats.comparison import paired_test
from melanoma.stats.delong import delong_test
from melanoma.stats.metrics import Calibration, Measure, NetBenefit, Outcomes, Ranking, measured

RESULTS = Path(__file__).parent / "results" / "coverage.md"
PREVALENCE, SHIFT, OVERCONFIDENCE, QUANTILES = 0.02, 2.0, 1.4, 200_000
COHORTS = {  # patients, with 16 images each on average, and correlations
    "a test of a fifth of ISIC 2020": (411, (0.0, 0.3, 0.5, 0.7)),
    "the whole of ISIC 2020": (2056, (0.0, 0.7)),
}
REQUIRED = (0.935, 0.965)
FIRST_SEED = 2_000_000  # of cohorts on which nothing was chosen


def measures(target: np.ndarray, score: np.ndarray) -> dict[str, Measure]:
    """Return what is estimated: all metrics, with rates at one threshold and net benefit at two."""
    probability = expit(OVERCONFIDENCE * SHIFT * (score - SHIFT / 2) + logit(PREVALENCE))
    return {
        "": Ranking(target, score),
        "probabilities: ": Calibration(target, probability),
        "at a threshold: ": Outcomes(target, score, SHIFT / 2),
        "net benefit at ": NetBenefit(target, probability, [0.02, 0.1]),
    }


def truth() -> dict[str, float]:
    """Return each metric of the model itself."""
    quantiles = norm.ppf((np.arange(QUANTILES) + 0.5) / QUANTILES)
    target = np.repeat([1, 0], QUANTILES)
    weight = np.repeat([PREVALENCE, 1 - PREVALENCE], QUANTILES)
    made = measures(target, np.concatenate([quantiles + SHIFT, quantiles]))
    return {f"{kind}{name}": float(value) for kind, m in made.items() for name, value in measured(m, weight).items()}


def cohort(seed: int, patients: int, correlation: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw labels (n,), the scores of two equally good models (2, n), and patients (n,)."""
    random = np.random.default_rng([seed, patients, round(100 * correlation)])
    images = np.minimum(1 + random.geometric(1 / 15.5, patients), 115)
    patient = np.repeat(np.arange(patients), images)
    target = (random.random(len(patient)) < PREVALENCE).astype(int)
    return target, scores(random, target, patient, correlation, 2), patient


def scores(
    random: np.random.Generator, target: np.ndarray, patient: np.ndarray, correlation: float, models: int
) -> np.ndarray:
    """Draw the scores of so many equally good models that know nothing of each other: (models, n)."""
    shared = random.normal(size=(models, patient.max() + 1))[:, patient]
    own = random.normal(size=(models, len(patient)))
    return SHIFT * target + np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own


def covered(seed: int, patients: int, correlation: float, replicates: int, expected: dict[str, float]) -> list[bool]:
    """Return whether each interval of one cohort holds the truth, then whether each test rejects equality."""
    target, (score, other), patient = cohort(seed, patients, correlation)
    made = measures(target, score)
    resampling = Resampling({**made, "other": Ranking(target, other)}, patient)
    replicated, left_out = resampling.replicate(replicates, seed), resampling.leave_out(seed)
    n_clusters = independent_clusters(target, patient)
    held = []
    for kind, measure in made.items():
        for name, value in measured(measure).items():
            made = interval_of(name)(value, replicated[kind][name], left_out[kind][name], 0.95, n_clusters)
            held.append(made.low <= expected[f"{kind}{name}"] <= made.high)
    delong = delong_test(target, score, other)
    clustered = paired_test(delong.difference, replicated[""]["auroc"] - replicated["other"]["auroc"], n_clusters)
    return [*held, clustered.p < 0.05, delong.p < 0.05]


def main() -> None:
    """Simulate and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cohorts", type=int, default=8000)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    args = parser.parse_args()
    expected = truth()
    seeds = range(FIRST_SEED, FIRST_SEED + args.cohorts)
    page = ["# Coverage of 95 % intervals\n"]
    with ProcessPoolExecutor(args.processes) as pool:
        for size, (patients, correlations) in COHORTS.items():
            columns = []
            for correlation in correlations:
                settings = {"patients": patients, "correlation": correlation, "replicates": args.replicates}
                one = partial(covered, **settings, expected=expected)
                columns.append(np.mean(list(pool.map(one, seeds, chunksize=10)), axis=0))
                print(size, correlation, np.round(columns[-1], 3), flush=True)
            names = [*expected, "paired test rejects: clustered bootstrap", "paired test rejects: DeLong"]
            rows = [
                [name, *(f"{share:.1%}" for share in row)]
                for name, row in zip(names, np.transpose(columns), strict=True)
            ]
            header = ["intra-patient correlation", *map(str, correlations)]
            page.append(f"## {patients:,} patients, {size}\n\n{markdown(header, rows)}")
    how = f"{args.cohorts:,} cohorts each, {args.replicates:,} replicates, 2 % melanomas, 16 images a patient"
    page.append(
        f"Required of AUROC: {REQUIRED[0]:.1%} to {REQUIRED[1]:.1%}. One entry is known to about ±"
        f"{1.96 * np.sqrt(0.05 * 0.95 / args.cohorts):.1%}. {conditions(how)}"
    )
    write_text(RESULTS, "\n".join(page))


if __name__ == "__main__":
    main()
