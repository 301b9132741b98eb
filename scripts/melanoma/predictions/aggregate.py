"""The predictions of all trainings of a model as one table with one row for each image."""

from collections.abc import Iterable, Mapping

import pandas as pd

from melanoma.predictions.table import COLUMNS, REFIT, SPREAD, VIEW_DEVIATION, fold_column
from melanoma.stats.log_odds import logit, sigmoid

KEYS = ["image", "patient", "fold", "part", "source"]
SEED = "-seed-"
AVERAGED = ["trained_prevalence", "patient_distance"]  # averaged like the logit or the probability


def aggregated(runs: Mapping[str, pd.DataFrame], train: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each image, with the columns of `table.COLUMNS`, out-of-fold rows first.

    `runs` maps the name of each training (fold-0, refit, or with a seed fold-0-seed-2) to its predictions. The logits
    of the seeds of one training are averaged. The test is predicted by `predicting_runs`. If these are several
    trainings, their probabilities are averaged. `train` has the targets of the out-of-fold rows. Targets of the test
    stay null.

    Optional columns, float64: `SPREAD`, the standard deviation of an image's logits over the trainings that predict it,
    NaN for one; `VIEW_DEVIATION`, the mean over these trainings, with test-time augmentation; and the test logits of
    each training, named by `fold_column`, NaN out of fold, where several have any.
    """
    predicting = predicting_runs(runs)
    used = {name: rows if name in predicting else rows[rows["part"] == "train"] for name, rows in runs.items()}
    rows = pd.concat(_trainings(used).values(), ignore_index=True)
    out_of_fold, test = rows[rows["part"] == "train"], rows[rows["part"] == "test"]
    if test["image"].duplicated().any():
        test = _mean_probability(test)
    table = with_targets(pd.concat([out_of_fold, test], ignore_index=True), train)
    table = table.assign(**_fold_logits(table, _trainings(runs)))
    by_image = pd.concat(used.values(), ignore_index=True).groupby(["image", "part"])
    uncertainty = by_image[["logit"]].std().rename(columns={"logit": SPREAD})
    if any(VIEW_DEVIATION in rows for rows in used.values()):
        uncertainty[VIEW_DEVIATION] = by_image[VIEW_DEVIATION].mean()
    uncertainty = uncertainty.dropna(axis=1, how="all")
    return table if uncertainty.empty else table.merge(uncertainty, how="left", on=["image", "part"], validate="m:1")


def predicting_runs(names: Iterable[str]) -> list[str]:
    """Return the names of the trainings that predict the test: the refit, or without one all."""
    names = list(names)
    return [name for name in names if name.partition(SEED)[0] == REFIT] or names


def seed_names(names: Iterable[str]) -> list[str]:
    """Return the seeds in the names of trainings, each once, in their order."""
    return list(dict.fromkeys(name.partition(SEED)[2] for name in names if SEED in name))


def with_targets(predictions: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
    """Return the predictions with a column target, Int8: that of train for out-of-fold rows, null for all others."""
    target = predictions["image"].map(train.set_index("image")["target"])
    return predictions.assign(target=target.where(predictions["part"] == "train").astype("Int8"))[COLUMNS]


def _fold_logits(table: pd.DataFrame, trainings: Mapping[str, pd.DataFrame]) -> dict[str, pd.Series]:
    """Return the test logits of each training as columns of `table`, if several have any."""
    columns = {}
    for name, rows in trainings.items():
        logits = rows[rows["part"] == "test"].set_index("image")["logit"]
        if len(logits):
            columns[fold_column(name)] = table["image"].map(logits).where(table["part"] == "test")
    return columns if len(columns) > 1 else {}


def _trainings(runs: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the predictions of each training, the mean of its seeds."""
    by_training: dict[str, list[pd.DataFrame]] = {}
    for name, predictions in runs.items():
        by_training.setdefault(name.partition(SEED)[0], []).append(predictions)
    return {name: _mean_logit(seeds) for name, seeds in by_training.items()}


def _mean_logit(seeds: list[pd.DataFrame]) -> pd.DataFrame:
    if len(seeds) == 1:
        return seeds[0]
    rows = pd.concat(seeds).groupby(KEYS, sort=False, as_index=False, dropna=False)
    mean = rows[["logit", *AVERAGED]].mean()
    return mean.assign(probability=sigmoid(mean["logit"]))


def _mean_probability(test: pd.DataFrame) -> pd.DataFrame:
    rows = test.groupby(KEYS, sort=False, as_index=False, dropna=False)
    mean = rows[["probability", *AVERAGED]].mean()
    return mean.assign(logit=logit(mean["probability"]))
