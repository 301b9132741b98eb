"""Permutation importance: how much of its AUROC a metadata model owes to each column (Breiman, 2001)."""

from collections.abc import Callable, Sequence
from typing import TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.inspection import permutation_importance

from melanoma.stats.metrics import Floats, auroc

REPEATS, MAX_IMAGES = 10, 2000


class Importance(TypedDict):
    """By how much the AUROC falls when a column is permuted: mean and standard deviation over repeats."""

    column: str
    mean: float
    deviation: float


class _Model:
    """A model as scikit-learn takes it. It is fitted already."""

    def __init__(self, probability: Callable[[pd.DataFrame], Floats]) -> None:
        self.probability = probability

    def fit(self) -> None:
        """Do nothing: scikit-learn requires the method and does not call it."""


def column_importance(
    probability: Callable[[pd.DataFrame], Floats],
    table: pd.DataFrame,
    columns: Sequence[str],
    target: NDArray[np.int64],
) -> list[Importance]:
    """Return the importance of `columns` for `probability`, which maps a table to values (n,), largest first.

    The values are for the images of `table` and their `target` (n,), of which each repeat draws at most MAX_IMAGES.
    Correlated columns share their importance: each alone can be missed.
    """

    def score(model: _Model, values: pd.DataFrame, labels: NDArray[np.int64]) -> float:
        return float(auroc(labels, model.probability(values)))

    found = permutation_importance(
        _Model(probability),
        table[list(columns)],
        target,
        scoring=score,
        n_repeats=REPEATS,
        random_state=0,
        max_samples=min(MAX_IMAGES, len(table)),
    )
    figures = zip(columns, found["importances_mean"], found["importances_std"], strict=True)
    entries = [Importance(column=name, mean=float(mean), deviation=float(std)) for name, mean, std in figures]
    return sorted(entries, key=lambda entry: -entry["mean"])
