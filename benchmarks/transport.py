"""Simulates studies: the sensitivity that a threshold was chosen for, and the one that it reaches on the test.

python benchmarks/transport.py        writes results/transport.md

The log-odds of a training are the truth of an image plus noise of the training, which does not depend on the number
of images. In the last rows each training is a real one: logistic regressions of 100 inputs, whose noise comes from the
sample alone.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from measurement import ROOT, conditions, markdown, parser, publish
from numpy.typing import NDArray

from melanoma.config.study import Evaluate
from melanoma.evaluation.decisions import decide
from melanoma.predictions.aggregate import aggregated
from melanoma.stats.log_odds import sigmoid
from melanoma.stats.metrics import Confusion, confusion
from melanoma.stats.thresholds import choose_thresholds

RESULTS = ROOT / "benchmarks" / "results" / "transport.md"
HEADER = [
    *("noise of a training", "test", "sensitivity: intended", "achieved", "without transport"),
    *("specificity: intended", "achieved"),
]
SETTINGS = Evaluate()
RULE = f"sensitivity_{100 * SETTINGS.target_sensitivity:g}"
IMAGES, TEST, PREVALENCE, FOLDS, INPUTS = 3000, 2000, 0.1, 5, 100
Floats = NDArray[np.float64]
Fit = Callable[[NDArray[np.bool_] | None], Floats]  # from the images of a training to the log-odds of all images


def simulated(seed: int, noise: float) -> tuple[NDArray[np.int64], Fit]:
    """Return the labels of train and test, and trainings whose noise has `noise` times the variance of the truth."""
    draw = np.random.default_rng(seed)
    target = (draw.random(IMAGES + TEST) < PREVALENCE).astype(int)
    truth = 2 * target - 2 + draw.normal(size=len(target))
    return target, lambda _: truth + np.sqrt(noise) * draw.normal(size=len(target))


def regressions(seed: int, noise: float) -> tuple[NDArray[np.int64], Fit]:
    """Return the labels of train and test, and logistic regressions; `noise` is not read."""
    from sklearn.linear_model import LogisticRegression

    draw = np.random.default_rng(seed)
    target = (draw.random(IMAGES + TEST) < PREVALENCE).astype(int)
    inputs = draw.normal(size=(len(target), INPUTS)) + np.outer(target, draw.normal(size=INPUTS)) * 2 / np.sqrt(INPUTS)

    def fit(rows: NDArray[np.bool_] | None) -> Floats:
        chosen = np.arange(len(target)) < IMAGES if rows is None else rows
        model = LogisticRegression(C=100).fit(inputs[chosen], target[chosen])
        return np.asarray(model.decision_function(inputs), np.float64)

    return target, fit


def study(target: NDArray[np.int64], fit: Fit) -> dict[str, pd.DataFrame]:
    """Return the predictions by `fold_mean` and by `refit` with all labels."""
    index = np.arange(len(target))
    fold = np.where(index < IMAGES, index % FOLDS, -1)
    images = pd.DataFrame({"image": index.astype(str), "patient": index.astype(str), "fold": fold})
    images = images.assign(part=np.where(fold < 0, "test", "train"), source="s", target=target)

    def predicted(logit: Floats, rows: NDArray[np.bool_]) -> pd.DataFrame:
        made = images.assign(logit=logit, probability=sigmoid(logit), trained_prevalence=PREVALENCE)
        return made.assign(patient_distance=np.nan)[rows].drop(columns="target")

    folds = {number: fit((fold >= 0) & (fold != number)) for number in range(FOLDS)}
    by_fold = {f"fold-{number}": predicted(logit, (fold < 0) | (fold == number)) for number, logit in folds.items()}
    runs = {"fold_mean": by_fold, "refit": by_fold | {"refit": predicted(fit(None), fold < 0)}}
    tables = {name: aggregated(each, images) for name, each in runs.items()}
    return {name: rows.assign(target=target[rows["image"].astype(int)]) for name, rows in tables.items()}


def rates(table: pd.DataFrame) -> list[float]:
    """Return the intended and achieved sensitivity, that without transport, and both specificities."""
    rows = {part: table[table["part"] == part] for part in ("train", "test")}
    made = decide(rows["train"], "study", SETTINGS, test=rows["test"])
    plain = choose_thresholds(rows["train"]["target"], rows["train"]["probability"], SETTINGS.target_sensitivity)
    cells, before = (at(rows["test"], each[RULE]) for each in (made.thresholds, plain))
    intended = made.intended[RULE]
    sensitivities = [intended["sensitivity"], float(cells.sensitivity), float(before.sensitivity)]
    return [*sensitivities, intended["specificity"], float(cells.specificity)]


def at(test: pd.DataFrame, threshold: float) -> Confusion:
    """Return the counts of the test at a threshold."""
    return confusion(test["target"].to_numpy(), test["probability"].to_numpy(), threshold)


def main() -> None:
    """Write the table."""
    options = parser(__doc__)
    options.add_argument("--studies", type=int, default=300, help="studies of each kind (default 300)")
    studies = options.parse_args().studies
    kinds = {
        "as large as the truth": (simulated, 1.07),
        "a third of it": (simulated, 0.33),
        "of the sample alone": (regressions, 0.0),
    }
    rows = []
    for kind, (simulate, noise) in kinds.items():
        tables = [study(*simulate(seed, noise)) for seed in range(studies)]
        for test in ("fold_mean", "refit"):
            values = np.array([rates(each[test]) for each in tables])
            errors = values.std(axis=0) / np.sqrt(studies)
            means = zip(values.mean(axis=0), errors, strict=True)
            rows.append([kind, test, *(f"{mean:.3f} +- {error:.3f}" for mean, error in means)])
    how = f"means of {studies} simulated studies and their standard errors"
    publish(
        RESULTS,
        "# Intended and achieved rates of the threshold for 90 % sensitivity\n",
        markdown(HEADER, rows),
        conditions(how),
    )


if __name__ == "__main__":
    main()
