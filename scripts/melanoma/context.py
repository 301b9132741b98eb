"""What all images of a patient tell about one of them, without a label."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

NAMES = ("difference", "z", "rank")  # of a score within its patient


def count_images(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return both tables with images_per_patient, int64: how many images of its patient the two have together."""
    counts = pd.concat([train["patient"], test["patient"]]).value_counts()
    return tuple(
        table.assign(images_per_patient=table["patient"].map(counts).astype("int64")) for table in (train, test)
    )


def images_per_patient(patient: ArrayLike) -> NDArray[np.int64]:
    """Return how many of the rows, (n,), are of the row's patient."""
    _, code, count = np.unique(np.asarray(patient, dtype=str), return_inverse=True, return_counts=True)
    return count[code].astype(np.int64)


def within_patient(score: ArrayLike, patient: ArrayLike) -> NDArray[np.float64]:
    """Return how far each score stands out among those of its patient: float64 (n, 3), the columns `NAMES`.

    `score` is finite, `patient` names the row's patient, both (n,). difference is to the patient's mean; z the same in
    standard deviations of the patient's scores; rank the share of the patient's images that are outscored, with half of
    those that tie, itself among them, less a half. All three are 0 for a patient with one image.
    """
    frame = pd.DataFrame({"score": np.asarray(score, np.float64), "patient": np.asarray(patient, dtype=str)})
    groups = frame.groupby("patient")["score"]
    count = groups.transform("size")
    difference = (frame["score"] - groups.transform("mean")).mask(count == 1, 0.0)
    deviation = groups.transform("std", ddof=0)
    # Equal scores whose mean is rounded would differ from it by 1e-17, and by several of their deviations.
    apart = groups.transform("max") > groups.transform("min")
    z = (difference / deviation.where(apart)).fillna(0.0)
    rank = (groups.rank(method="average") - 0.5) / count - 0.5
    return np.stack([difference, z, rank], axis=1)
