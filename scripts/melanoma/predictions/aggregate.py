"""The predictions of a model's trainings made into one table, one row for each image."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from melanoma.predictions.table import COLUMNS

KEYS = ["image", "patient", "fold", "part", "source"]
SEED = "-seed-"
AVERAGED = ["trained_prevalence", "patient_distance"]  # beside logit or probability


def aggregated(runs: Mapping[str, pd.DataFrame], train: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each image, with the columns of `predictions.COLUMNS`, out-of-fold rows first.

    `runs` maps the name of each training (fold-0, refit, or with a seed fold-0-seed-2) to its predictions. Seeds of one
    training are averaged by their logits; then a test image that several trainings predict gets the mean of their
    probabilities. Distances are averaged as they are. `train` gives the targets of the out-of-fold rows; those of the
    test stay null.
    """
    trainings = list(dict.fromkeys(name.partition(SEED)[0] for name in runs))
    means = [_mean_logit([runs[name] for name in runs if name.partition(SEED)[0] == each]) for each in trainings]
    rows = pd.concat(means, ignore_index=True)
    out_of_fold, test = rows[rows["part"] == "train"], rows[rows["part"] == "test"]
    if test["image"].duplicated().any():
        test = _mean_probability(test)
    return with_targets(pd.concat([out_of_fold, test], ignore_index=True), train)


def seeds_of(names: Iterable[str]) -> list[str]:
    """Return the seeds in the names of trainings, in their order."""
    return list(dict.fromkeys(name.partition(SEED)[2] for name in names if SEED in name))


def with_targets(predictions: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
    """Return predictions with the targets of train beside their out-of-fold rows, Int8, null beside all others."""
    target = predictions["image"].map(train.set_index("image")["target"])
    return predictions.assign(target=target.where(predictions["part"] == "train").astype("Int8"))[COLUMNS]


def _mean_logit(repeats: list[pd.DataFrame]) -> pd.DataFrame:
    if len(repeats) == 1:
        return repeats[0]
    rows = pd.concat(repeats).groupby(KEYS, sort=False, as_index=False, dropna=False)
    mean = rows[["logit", *AVERAGED]].mean()
    return mean.assign(probability=1 / (1 + np.exp(-mean["logit"])))


def _mean_probability(test: pd.DataFrame) -> pd.DataFrame:
    rows = test.groupby(KEYS, sort=False, as_index=False, dropna=False)
    mean = rows[["probability", *AVERAGED]].mean()
    probability = mean["probability"].clip(1e-15, 1 - 1e-15)
    return mean.assign(logit=np.log(probability) - np.log1p(-probability))
