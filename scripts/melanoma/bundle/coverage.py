"""How often the conformal sets of a model err and abstain, measured on its out-of-fold images."""

from typing import TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.stats.conformal import p_values, patient_weights

ERROR_RATES = (0.05, 0.1, 0.2)


class Coverage(TypedDict):
    """Shares at a chosen error rate: of the patients of each class, where it is excluded; and of the images."""

    error_rate: float
    melanoma_excluded: float
    benign_excluded: float
    abstained: float  # of the images: two classes or none are left
    right: float | None  # of the other images, whose class is right; None without any


def measured_coverage(rows: pd.DataFrame) -> list[Coverage]:
    """Return the shares at ERROR_RATES, of sets that the one half of the patients gives for the other half.

    `rows` has patient, target and calibrated, a probability. A class that all patients of a half lack gives no result.
    """
    drawn = np.random.default_rng(0).permutation(rows["patient"].unique())
    half = rows["patient"].isin(drawn[::2]).to_numpy()
    parts = [(rows[half], rows[~half]), (rows[~half], rows[half])]
    if any(part["target"].nunique() < 2 for part, _ in parts):
        return []
    judged = pd.concat([part.assign(**_p_values(part, others)) for part, others in parts])
    return [_coverage(judged, error_rate) for error_rate in ERROR_RATES]


def _p_values(rows: pd.DataFrame, others: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Return the p-values of both classes for `rows`, by the images of `others`."""
    result = {}
    for name, target in (("benign", 0), ("melanoma", 1)):
        known = others[others["target"] == target]
        fits, new = (each["calibrated"] if target else 1 - each["calibrated"] for each in (known, rows))
        result[name] = p_values(fits, patient_weights(known["patient"]), new)
    return result


def _coverage(judged: pd.DataFrame, error_rate: float) -> Coverage:
    left = judged[["benign", "melanoma"]] > error_rate
    answered = left["benign"] ^ left["melanoma"]
    excluded = {}
    for name, target in (("benign", 0), ("melanoma", 1)):
        of_class = judged["target"] == target
        weights = patient_weights(judged.loc[of_class, "patient"])
        excluded[name] = float(np.average(~left.loc[of_class, name], weights=weights))
    right = (left["melanoma"] == (judged["target"] == 1))[answered]
    return Coverage(
        error_rate=error_rate,
        melanoma_excluded=excluded["melanoma"],
        benign_excluded=excluded["benign"],
        abstained=float(1 - answered.mean()),
        right=float(right.mean()) if len(right) else None,
    )
