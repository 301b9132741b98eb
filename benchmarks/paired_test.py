"""How often two equally good models seem to differ, by the test in use and by others, and how often one is adopted.

python benchmarks/paired_test.py --processes 4        writes results/paired_test.md

Cohorts are drawn as in coverage.py. The other tests are the normal one without the correction for few patients, and
Student's t with the error and the degrees of freedom of the interval. The selected model is chosen between a model and
one or four "fusions" that are as good as it and know nothing of each other.
"""

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np
import pandas as pd
from conditions import conditions, markdown
from coverage import cohort, scores
from scipy.special import expit, stdtr

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from melanoma.common.files import write_text
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
TESTS = ("the test in use", "normal, not corrected", "Student's t", "the interval leaves 0 out")
COLUMNS = [*TESTS, "test and interval agree", "of 1 such model 1 adopted", "of 4 one or more"]


def student_t(difference: float, replicated: np.ndarray, left_out: np.ndarray, n_clusters: int) -> float:
    """Return p of Student's t with the error and the degrees of freedom that `interval` has."""
    error = np.sqrt((np.nanvar(replicated) + jackknife_error(left_out) ** 2) / 2)
    resting = min(n_clusters, effective_clusters(left_out))
    if error == 0:
        return float(difference == 0)
    return float(2 * stdtr(resting - 1, -abs(difference) / (error * np.sqrt(resting / (resting - 1)))))


def rejects(seed: int, patients: int, correlation: float) -> list[float]:
    """Return, for one cohort, what each of `COLUMNS` says, 0 or 1; NaN for all where one patient has a melanoma."""
    target, drawn, patient = cohort(seed, patients, correlation)
    n_clusters = independent_clusters(target, patient)
    if n_clusters < 2:
        return [np.nan] * len(COLUMNS)
    measures = dict(enumerate(Auroc(target, score) for score in drawn))
    resampling = Resampling(measures, patient)
    first, second = (float(measured(measure)["auroc"]) for measure in measures.values())
    replicated, left_out = (
        made[0]["auroc"] - made[1]["auroc"] for made in (resampling.replicate(1000, seed), resampling.leave_out(seed))
    )
    made = interval(first - second, replicated, left_out, 1 - LEVEL, n_clusters)
    outside = not made.low <= 0 <= made.high
    p = [
        paired_test(first - second, replicated, n_clusters).p,
        z_test(first - second, float(np.nanstd(replicated))).p,
        student_t(first - second, replicated, left_out, n_clusters),
    ]
    found = [*(one < LEVEL for one in p), outside]
    return [*found, found[0] == outside, *(adopted(seed, target, patient, correlation, count) for count in (1, 4))]


def adopted(seed: int, target: np.ndarray, patient: np.ndarray, correlation: float, count: int) -> bool:
    """Return whether any of `count` models, as good as a first one, is chosen over it."""
    rows = pd.DataFrame({"image": np.arange(len(target)).astype(str), "patient": patient.astype(str), "target": target})
    drawn = scores(np.random.default_rng([seed, count]), target, patient, correlation, count + 1)
    models = {str(number): rows.assign(probability=expit(score)) for number, score in enumerate(drawn)}
    return select_model({"0": models.pop("0")}, models, Fuse(significance_level=LEVEL, replicates=500, seed=seed))[
        "adopted"
    ]


def main() -> None:
    """Simulate and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cohorts", type=int, default=2000)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    args = parser.parse_args()
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
    page = f"# A difference that is not there\n\n{markdown(header, rows)}\n{conditions(how)}"
    write_text(RESULTS, page)


if __name__ == "__main__":
    main()
