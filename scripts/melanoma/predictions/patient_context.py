"""What all images of a patient tell about one of them, without a label."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

NAMES = ("difference", "z", "rank")  # of a score within its patient
DISTANCE_NAMES = ("distance", "distance z", "distance rank")  # of an embedding, to those of its patient
DECIMALS = 7  # of a distance, all that an embedding in float32 tells


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


def patients_of_part(predictions: pd.DataFrame) -> pd.Series:
    """Return a name of each row's patient within its part, text (n,), from image, patient and part.

    A patient's context is made of the images of one part. An image whose patient is unknown is a patient of its own.
    """
    return predictions["part"] + " " + predictions["patient"].fillna(predictions["image"])


def patient_distance(embeddings: ArrayLike, patient: ArrayLike) -> NDArray[np.float64]:
    """Return how unlike the other images of its patient each image is, float64 (n,), from 0 to 2.

    `embeddings` (n, width) are a network's features of the images, `patient` (n,) names each one's patient. It is the
    cosine distance of an embedding from the mean of the patient's other embeddings: 1 - cosine of the angle between
    them, 1 where one of the two is all zeros, and 0 for a patient with one image.
    """
    embeddings = np.asarray(embeddings)
    _, code, count = np.unique(np.asarray(patient, dtype=str), return_inverse=True, return_counts=True)
    sums = np.zeros((len(count), embeddings.shape[1]))
    np.add.at(sums, code, embeddings)
    others = sums[code]
    others -= embeddings  # the sum of the others, of the direction of their mean
    product = np.einsum("ij,ij->i", embeddings, others, dtype=np.float64)
    length = _lengths(embeddings) * _lengths(others)
    cosine = np.divide(product, length, out=np.zeros_like(product), where=length > 0)
    # Without rounding, the two images of a patient would be at distances that differ in their last bit.
    return np.where(count[code] == 1, 0.0, np.round((1.0 - cosine).clip(0.0, 2.0), DECIMALS))


def distance_within_patient(distance: ArrayLike, patient: ArrayLike) -> NDArray[np.float64]:
    """Return each `patient_distance` with its z-value and rank in its patient: float64 (n, 3), as `DISTANCE_NAMES`.

    z-value and rank are those of `within_patient`.
    """
    return np.column_stack([np.asarray(distance, np.float64), within_patient(distance, patient)[:, 1:]])


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


def _lengths(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
