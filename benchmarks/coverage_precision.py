"""Simulates the coverage of the 95 % confidence intervals of average precision, at several prevalences.

python benchmarks/coverage_precision.py --processes 4        writes results/coverage_precision.md after each setting

The cohorts are those of coverage.py, with several separations of the two classes. All cohorts of a setting have the
same draws of patients. Beside the interval of average precision stand that of other smooth metrics, the plain
percentile and the BCa interval of the same replicates.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np
from coverage import PREVALENCE, QUANTILES, REQUIRED, SHIFT, bca, cohort, percentile
from measurement import ROOT, conditions, markdown, parser, publish
from numpy.typing import NDArray
from scipy import sparse
from scipy.stats import norm

from melanoma.stats.bootstrap import draw, independent_clusters, interval, leave_out, metric_interval
from melanoma.stats.metrics import Ranking, measured
from melanoma.stats.prevalence import average_precision_at

RESULTS = ROOT / "benchmarks" / "results" / "coverage_precision.md"
METHODS = ("ours", "as other metrics", "percentile", "BCa")
STATED = (0.01, 0.05)
NAME = "average_precision"
FIRST_SEED = 3_000_000  # nothing was selected on the cohorts from this seed on
SETTINGS = [  # patients, separation in standard deviations, intra-patient correlation
    *((411, SHIFT, correlation) for correlation in (0.0, 0.3, 0.5, 0.7)),
    *((411, shift, correlation) for shift in (1.5, 2.5) for correlation in (0.0, 0.7)),
    *((2056, SHIFT, correlation) for correlation in (0.0, 0.7)),
]


class AveragePrecisions(Ranking):
    """The average precision of the images as they are, and at the stated prevalences."""

    def metrics(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Return each average precision by its prevalence."""
        steps = self.steps(sums)
        at = {f"{prevalence:.0%}": average_precision_at(steps, prevalence) for prevalence in STATED}
        return {"as it is": steps.average_precision(), **at}


def truth(shift: float) -> dict[str, float]:
    """Return the true average precision by prevalence."""
    quantiles = norm.ppf((np.arange(QUANTILES) + 0.5) / QUANTILES)
    target = np.repeat([1, 0], QUANTILES)
    weight = np.repeat([PREVALENCE, 1 - PREVALENCE], QUANTILES)
    precision = AveragePrecisions(target, np.concatenate([quantiles + shift, quantiles]))
    return {prevalence: float(value) for prevalence, value in measured(precision, weight).items()}


@cache
def weights(patients: int, replicates: int) -> NDArray[np.float64]:
    """Return how often each patient counts in each replicate and without each group: (patients, all of these)."""
    return np.concatenate([*draw(patients, replicates, 1), *leave_out(patients, 1)], axis=1)


def intervals(seed: int, patients: int, shift: float, correlation: float, replicates: int) -> NDArray[np.float64]:
    """Return the ends of each interval in one cohort: (prevalences, METHODS, 2)."""
    target, (score, _), patient = cohort(seed, patients, correlation)
    precision = AveragePrecisions(target, score + (shift - SHIFT) * target)
    member = sparse.csr_array((np.ones(len(patient)), (np.arange(len(patient)), patient)))
    metrics = precision.metrics((precision.matrix @ member) @ weights(patients, replicates))
    n_clusters = independent_clusters(target, patient)
    ends = []
    for prevalence, metric in measured(precision).items():
        drawn = np.split(metrics[prevalence], [replicates])
        value = float(metric)
        ours = metric_interval(NAME, value, *drawn, 0.95, n_clusters)
        other = interval(value, *drawn, 0.95, n_clusters)
        ends.append([(ours.low, ours.high), (other.low, other.high), percentile(value, *drawn), bca(value, *drawn)])
    return np.array(ends)


def main() -> None:
    """Simulate and publish."""
    options = parser(__doc__)
    options.add_argument("--cohorts", type=int, default=2000)
    options.add_argument("--replicates", type=int, default=500)
    options.add_argument("--processes", type=int, default=os.cpu_count())
    args = options.parse_args()
    header = ["cohorts", "patients", "separation", "correlation", "prevalence", "truth", "coverage", "median width"]
    how = f"{args.replicates:,} replicates, 2 % melanomas, 16 images a patient"
    rows = []
    with ProcessPoolExecutor(args.processes) as pool:
        for patients, shift, correlation in SETTINGS:
            setting = {"patients": patients, "shift": shift, "correlation": correlation}
            one = partial(intervals, **setting, replicates=args.replicates)
            seeds = range(FIRST_SEED, FIRST_SEED + args.cohorts)
            low, high = np.moveaxis(np.array(list(pool.map(one, seeds, chunksize=10))), -1, 0)
            for number, (prevalence, true) in enumerate(truth(shift).items()):
                covered = ((low <= true) & (true <= high))[:, number].mean(axis=0)
                width = np.median((high - low)[:, number], axis=0)
                row = [f"{len(seeds):,}", f"{patients:,}", f"{shift:.1f}", f"{correlation:.1f}", prevalence]
                row += [f"{true:.3f}", " / ".join(f"{share:.1%}" for share in covered)]
                row.append(" / ".join(f"{w:.3f}" for w in width))
                rows.append(row)
            publish(
                RESULTS,
                "# Coverage of the 95 % confidence intervals of average precision\n",
                f"Coverage and median width: {' / '.join(METHODS)}. The coverage of ours must be {REQUIRED[0]:.1%} to"
                f" {REQUIRED[1]:.1%}. The simulation error is about ±{1.96 * np.sqrt(0.05 * 0.95 / args.cohorts):.1%}"
                f" with {args.cohorts:,} cohorts."
                " The kind of interval was selected on cohorts of other seeds.\n",
                markdown(header, rows),
                conditions(how),
            )


if __name__ == "__main__":
    main()
