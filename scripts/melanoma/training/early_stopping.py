"""The best epoch of a training, and when training stops because no better epoch came.

`monitor` says how epochs are compared: by loss, where less is better, by auroc, or last, where each epoch is better
than those before. Of equal epochs the first is the best. NaN is worse than any number.
"""

from collections.abc import Sequence
from math import inf, isnan
from typing import Literal, TypedDict

import pandas as pd

Monitor = Literal["auroc", "loss", "last"]


class ValidationFigures(TypedDict, total=False):
    """The figures of the validation images after an epoch; empty if there are none."""

    validation_loss: float
    validation_auroc: float
    validation_average_precision: float


class EpochRow(ValidationFigures):
    """One epoch of a history: its number, from 1, the learning rate at its start, and its figures."""

    epoch: int
    learning_rate: float
    train_loss: float
    train_auroc: float


HISTORY = [
    "epoch", "learning_rate", "train_loss", "train_auroc", "validation_loss", "validation_auroc",
    "validation_average_precision",
]  # fmt: skip


def is_best(history: Sequence[EpochRow], monitor: Monitor) -> bool:
    """Tell whether the last epoch of `history` is better than all before."""
    return _best(_scores(history, monitor)) == len(history) - 1


def stops_early(history: Sequence[EpochRow], monitor: Monitor, patience: int | None) -> bool:
    """Tell whether the last `patience` epochs were no better than one before them. None is endless patience."""
    if patience is None or not history:
        return False
    return len(history) - 1 - _best(_scores(history, monitor)) >= patience


def best_epoch(history: pd.DataFrame, monitor: Monitor) -> int:
    """Return the number, from 1, of the best epoch of a history, which has the columns of `HISTORY`."""
    return int(history["epoch"].iloc[_best(_scores(history.to_dict("records"), monitor))])


def _scores(history: Sequence[EpochRow], monitor: Monitor) -> list[float]:
    """Return a score of each epoch; more is better."""
    match monitor:
        case "loss":
            return [-row["validation_loss"] for row in history]
        case "auroc":
            return [row["validation_auroc"] for row in history]
        case "last":
            return [row["epoch"] for row in history]


def _best(scores: list[float]) -> int:
    comparable = [-inf if isnan(score) else score for score in scores]
    return comparable.index(max(comparable))
