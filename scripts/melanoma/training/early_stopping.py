"""Which epoch of a training is the best, and when there is no better one to wait for.

Epochs are compared by `choose_by`: loss, where less is better, auroc, or last, by which each beats those before.
The first of equal epochs is the best, and one whose value is no number is worse than any other.
"""

from math import inf, isnan
from typing import Any

import pandas as pd


def is_best(history: list[dict[str, Any]], choose_by: str) -> bool:
    """Tell whether the last epoch of `history`, one row for each, is better than all before."""
    return _best(history, choose_by) == len(history) - 1


def stops_early(history: list[dict[str, Any]], choose_by: str, patience: int | None) -> bool:
    """Tell whether `patience` epochs have passed without a better one; None waits for ever."""
    if patience is None or not history:
        return False
    return len(history) - 1 - _best(history, choose_by) >= patience


def best_epoch(history: pd.DataFrame, choose_by: str) -> int:
    """Return the number, from 1, of the best epoch of a fold's history."""
    return int(history["epoch"].iloc[_best(history.to_dict("records"), choose_by)])


def _best(history: list[dict[str, Any]], choose_by: str) -> int:
    if choose_by == "last":
        return len(history) - 1
    sign = -1 if choose_by == "loss" else 1
    values = [sign * row[f"validation_{choose_by}"] for row in history]
    scores = [-inf if isnan(value) else value for value in values]
    return scores.index(max(scores))
