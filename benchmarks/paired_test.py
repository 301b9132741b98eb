"""Simulates the type I error of the paired test over patients, of other tests, and of the choice of a fusion.

python benchmarks/paired_test.py --processes 4        writes results/paired_test.md

Cohorts are drawn as in coverage.py. The other tests are the normal test without the correction for few patients, and
Student's t test with the standard error and the degrees of freedom of the confidence interval. The selected model is
chosen among a single model and one or four independent "fusions" of equal performance.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np
import pandas as pd
from coverage import cohort, scores
from measurement import conditions, markdown, parser, publish
from numpy.typing import NDArray
from scipy.special import expit, stdtr

from melanoma.config.study import Fuse
from melanoma.fusion.select_model import select_model
from melanoma.stats.bootstrap import Resampling, effective_clusters, independent_clusters, interval, jackknife_error
from melanoma.stats.comparison import paired_test
from melanoma.stats.delong import z_test
from melanoma.stats.metrics import Auroc, measured

RESULTS = Path(__file__).parent / "results" / "paired_test.md"
PATIENTS, CORRELATIONS = (20, 60, 411), (0.0, 0.7)
FIRST_SEED = 3_000_000
LEVEL = 0.05
TESTS = ("paired test of the workflow", "normal test, not corrected", "Student's t test", "interval excludes 0")
COLUMNS = [*TESTS, "test and interval agree", "fusion selected, of 1", "fusion selected, of 4"]


def student_t(
    difference: float, replicated: NDArray[np.float64], left_out: NDArray[np.float64], n_clusters: int
) -> float:
    """Return p of Student's t test with the standard error and the degrees of freedom of `interval`."""
    error = np.sqrt((np.nanvar(replicated) + jackknife_error(left_out) ** 2) / 2)
    size = min(n_clusters, effective_clusters(left_out))
    if error == 0:
        return float(difference == 0)
    return float(2 * stdtr(size - 1, -abs(difference) / (error * np.sqrt(size / (size - 1)))))


def rejects(seed: int, patients: int, correlation: float) -> list[float]:
    """Return each of `COLUMNS` for one cohort as 0 or 1; NaN if fewer than two patients have a melanoma."""
    target, drawn, patient = cohort(seed, patients, correlation)
    n_clusters = independent_clusters(target, patient)
    if n_clusters < 2:
        return [np.nan] * len(COLUMNS)
    measures = dict(enumerate(Auroc(target, score) for score in drawn))
    resampling = Resampling(measures, patient)
    first, second = (float(measured(measure)["auroc"]) for measure in measures.values())
    replicated, left_out = (
        values[0]["auroc"] - values[1]["auroc"]
        for values in (resampling.replicate(1000, seed), resampling.leave_out(seed))
    )
    bounds = interval(first - second, replicated, left_out, 1 - LEVEL, n_clusters)
    outside = not bounds.low <= 0 <= bounds.high
    p = [
        paired_test(first - second, replicated, n_clusters).p,
        z_test(first - second, float(np.nanstd(replicated))).p,
        student_t(first - second, replicated, left_out, n_clusters),
    ]
    rejections = [*(one < LEVEL for one in p), outside]
    return [
        *rejections,
        rejections[0] == outside,
        *(adopted(seed, target, patient, correlation, count) for count in (1, 4)),
    ]


def adopted(seed: int, target: NDArray[np.int64], patient: NDArray[np.int64], correlation: float, count: int) -> bool:
    """Return whether one of `count` fusions is selected, although all have the performance of the single model."""
    rows = pd.DataFrame({"image": np.arange(len(target)).astype(str), "patient": patient.astype(str), "target": target})
    drawn = scores(np.random.default_rng([seed, count]), target, patient, correlation, count + 1)
    models = {str(number): rows.assign(probability=expit(score)) for number, score in enumerate(drawn)}
    settings = Fuse(significance_level=LEVEL, replicates=500, seed=seed)
    return select_model({"0": models.pop("0")}, models, settings)["adopted"]


def main() -> None:
    """Simulate and publish."""
    options = parser(__doc__)
    options.add_argument("--cohorts", type=int, default=2000)
    options.add_argument("--processes", type=int, default=os.cpu_count())
    args = options.parse_args()
    seeds = range(FIRST_SEED, FIRST_SEED + args.cohorts)
    rows = []
    with ProcessPoolExecutor(args.processes) as pool:
        for patients in PATIENTS:
            for correlation in CORRELATIONS:
                one = partial(rejects, patients=patients, correlation=correlation)
                shares = np.nanmean(list(pool.map(one, seeds, chunksize=10)), axis=0)
                rows.append([f"{patients}", f"{correlation}", *(f"{share:.1%}" for share in shares)])
                print(*rows[-1], flush=True)
    header = ["patients", "intra-patient correlation", *COLUMNS]
    how = f"{args.cohorts:,} cohorts each, 16 images a patient, 2 % melanomas, level {LEVEL:.0%}"
    publish(RESULTS, "# Type I error of the paired tests\n", markdown(header, rows), conditions(how))


if __name__ == "__main__":
    main()
