"""Measures the clustered bootstrap of all metrics against a loop over scikit-learn, and its memory at 400,000 images.

python benchmarks/evaluation.py        writes results/evaluation.md
"""

import multiprocessing
from pathlib import Path

import numpy as np
from measurement import Stopwatch, conditions, markdown, peak_memory, publish
from numpy.typing import NDArray
from scipy.special import expit
from sklearn import metrics as sklearn_metrics

from melanoma.stats.bootstrap import draw, estimate
from melanoma.stats.metrics import BINS, Calibration, Measure, NetBenefit, Outcomes, Ranking

RESULTS = Path(__file__).parent / "results" / "evaluation.md"
IMAGES, PATIENTS, MELANOMAS, MODELS, REPLICATES = 33_126, 2_056, 584, 20, 2_000
MANY, MANY_PATIENTS, MANY_MODELS = 400_000, 24_000, 20
THRESHOLDS = (0.01, 0.02, 0.05, 0.1)  # one for each of four rules
NET_BENEFIT = (0.01, 0.02, 0.05, 0.1, 0.2)
LOOPED = 8  # replicates of scikit-learn that are timed
LIMIT, MIN_RATIO, MAX_MEMORY = 60, 50, 4  # seconds, times as fast as scikit-learn, GB


def cohort(
    images: int, patients: int, melanomas: int, models: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Draw labels (n,), patients (n,), and probabilities (models, n)."""
    random = np.random.default_rng(0)
    target = np.zeros(images, np.int64)
    target[random.choice(images, melanomas, replace=False)] = 1
    patient = np.concatenate([np.arange(patients), random.integers(0, patients, images - patients)])
    return target, patient, expit(-5 + 2 * target + random.normal(size=(models, images)))


def measures(target: NDArray[np.int64], probabilities: NDArray[np.float64]) -> dict[tuple[int, str], Measure]:
    """Return all measures of each model before calibration, as the workflow computes them."""
    found: dict[tuple[int, str], Measure] = {}
    for model, probability in enumerate(probabilities):
        found[model, "ranking"] = Ranking(target, probability)
        found[model, "calibration"] = Calibration(target, probability)
        found[model, "net benefit"] = NetBenefit(target, probability, NET_BENEFIT)
        for threshold in THRESHOLDS:
            found[model, f"at {threshold}"] = Outcomes(target, probability, threshold)
    return found


def by_scikit_learn(target: NDArray[np.int64], probability: NDArray[np.float64], weight: NDArray[np.int64]) -> None:
    """Compute the same metrics of one model in one replicate."""
    weighted = {"sample_weight": weight}
    sklearn_metrics.roc_auc_score(target, probability, **weighted)
    sklearn_metrics.average_precision_score(target, probability, **weighted)
    sklearn_metrics.roc_auc_score(1 - target, -probability, max_fpr=0.2, **weighted)
    false, true, _ = sklearn_metrics.roc_curve(target, probability, drop_intermediate=False, **weighted)
    for point in (0.8, 0.9, 0.95):
        true[false <= 1 - point].max(), false[true >= point].min()
    sklearn_metrics.brier_score_loss(target, probability, **weighted)
    sklearn_metrics.log_loss(target, probability, **weighted)
    np.bincount((probability * BINS).astype(int).clip(max=BINS - 1), weight * (probability - target), BINS)
    for threshold in THRESHOLDS:
        called = probability >= threshold
        sklearn_metrics.confusion_matrix(target, called, **weighted)
        sklearn_metrics.f1_score(target, called, **weighted)
        sklearn_metrics.fbeta_score(target, called, beta=2, **weighted)
        sklearn_metrics.cohen_kappa_score(target, called, **weighted)
    for threshold in NET_BENEFIT:
        sklearn_metrics.confusion_matrix(target, probability >= threshold, **weighted)


def bootstrap_seconds(images: int, patients: int, melanomas: int, models: int) -> tuple[float, float, float]:
    """Return the seconds on the clock and of the processor, and the peak memory of this process in GB."""
    target, patient, probabilities = cohort(images, patients, melanomas, models)
    with Stopwatch() as watch:
        estimate(measures(target, probabilities), target, patient, REPLICATES)
    return watch.wall, watch.cpu, peak_memory()


def loop_seconds() -> float:
    """Return the processor seconds of scikit-learn for one model and one replicate."""
    target, patient, (probability,) = cohort(IMAGES, PATIENTS, MELANOMAS, 1)
    drawn = next(draw(PATIENTS, LOOPED, seed=1)).T
    with Stopwatch() as watch:
        for counts in drawn:
            by_scikit_learn(target, probability, counts[patient])
    return watch.cpu / LOOPED


def main() -> None:
    """Measure each case in a fresh process, and publish."""
    fresh = multiprocessing.get_context("spawn")
    with fresh.Pool(1, maxtasksperchild=1) as pool:
        clock, processor, memory = pool.apply(bootstrap_seconds, (IMAGES, PATIENTS, MELANOMAS, MODELS))
        once = pool.apply(loop_seconds)
        many = pool.apply(bootstrap_seconds, (MANY, MANY_PATIENTS, MANY // 1000, MANY_MODELS))
    loop = once * MODELS * REPLICATES
    rows = [
        [f"{IMAGES:,} images, {MODELS} models, {REPLICATES:,} replicates", f"{clock:.1f} s, one thread"],
        ["processor time", f"{processor:.1f} s"],
        ["peak memory", f"{memory:.2f} GB"],
        [f"scikit-learn, one model and replicate, mean of {LOOPED}, processor time", f"{once * 1e3:.0f} ms"],
        ["scikit-learn, all models and replicates, processor time", f"{loop / 60:.0f} min"],
        ["scikit-learn's processor time as a multiple of ours", f"{loop / processor:.0f}"],
        ["scikit-learn on four cores at best, as a multiple of ours on one", f"{loop / 4 / processor:.0f}"],
        [f"{MANY:,} images, {MANY_PATIENTS:,} patients, {MANY_MODELS} models", f"{many[0]:.0f} s"],
        ["peak memory", f"{many[2]:.2f} GB"],
    ]
    limits = f"Limits: {LIMIT} s and {MIN_RATIO} times for the first, {MAX_MEMORY} GB for the last. "
    what = (
        "AUROC, average precision, partial AUROC, 6 operating points, 3 of calibration, 9 rates at each of 4 thresholds"
    )
    how = f"one run; {what}, net benefit at 5"
    publish(RESULTS, "# Evaluation\n", markdown(["measure", "value"], rows), limits + conditions(how))


if __name__ == "__main__":
    main()
