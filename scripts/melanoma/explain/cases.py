"""The test images that are worth a look: the most confident errors of a model, and a few right answers."""

import numpy as np
import pandas as pd

ERRORS, RIGHT = 6, 2  # at most so many of each kind
KINDS = ("missed melanoma", "false alarm", "found melanoma", "benign lesion recognized")
LIMITS = dict(zip(KINDS, (ERRORS, ERRORS, RIGHT, RIGHT), strict=True))


def choose_cases(predictions: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Return the rows of labeled predictions (image, target, probability) to explain, with the column kind.

    A probability at or above `threshold` says melanoma. The kinds are in the order of KINDS, and in each the
    probabilities that are farthest from the threshold come first; equal ones are in the order of their names.
    """
    melanoma = predictions["target"].to_numpy() == 1
    says_melanoma = predictions["probability"].to_numpy() >= threshold
    kind = np.select(
        [melanoma & ~says_melanoma, ~melanoma & says_melanoma, melanoma & says_melanoma], KINDS[:3], KINDS[3]
    )
    rows = predictions.assign(kind=kind, distance=(predictions["probability"] - threshold).abs())
    rows = rows.sort_values(["distance", "image"], ascending=[False, True], kind="stable")
    parts = [rows[rows["kind"] == name].head(LIMITS[name]) for name in KINDS]
    return pd.concat(parts, ignore_index=True).drop(columns="distance")
