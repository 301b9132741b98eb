"""Patient context: how an image differs from the other images of its patient. No label is read."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

NAMES = ("difference", "z", "rank")  # of a score within its patient
DISTANCE_NAMES = ("distance", "distance z", "distance rank")  # of an embedding to the others of its patient
DECIMALS = 7  # of a distance: the precision of an embedding in float32


def count_images(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return both tables with images_per_patient, int64: the number of the patient's images in the two together."""
    counts = pd.concat([train["patient"], test["patient"]]).value_counts()
    with_counts = [
        table.assign(images_per_patient=table["patient"].map(counts).astype("int64")) for table in (train, test)
    ]
    return with_counts[0], with_counts[1]


def images_per_patient(patient: ArrayLike) -> NDArray[np.int64]:
    """Return for each row, (n,), how many rows have the same patient."""
    _, code, count = np.unique(np.asarray(patient, dtype=str), return_inverse=True, return_counts=True)
    return count[code].astype(np.int64)


def patients_of_part(predictions: pd.DataFrame) -> pd.Series:
    """Return the name of each row's patient with its part, text (n,), from image, patient and part.

    A patient context compares images of the same part only. An image without a patient counts as a patient.
    """
    return predictions["part"] + " " + predictions["patient"].fillna(predictions["image"])


def patient_distance(embeddings: ArrayLike, patient: ArrayLike) -> NDArray[np.float64]:
    """Return the cosine distance of each embedding to the mean of the patient's other embeddings: float64 (n,), 0 to 2.

    `embeddings` (n, width) are a network's features of the images, `patient` (n,) names the patient of each. The cosine
    distance is 1 - cosine of the angle. It is 1 if one of the two is all zeros, and 0 for a patient with one image.
    """
    embeddings = np.asarray(embeddings)
    _, code, count = np.unique(np.asarray(patient, dtype=str), return_inverse=True, return_counts=True)
    sums = np.zeros((len(count), embeddings.shape[1]))
    np.add.at(sums, code, embeddings)
    others = sums[code]
    others -= embeddings  # their sum, which has the direction of their mean
    product = np.einsum("ij,ij->i", embeddings, others, dtype=np.float64)
    length = _lengths(embeddings) * _lengths(others)
    cosine = np.divide(product, length, out=np.zeros_like(product), where=length > 0)
    # Without rounding, the distances of the two images of a patient could differ in the last bit.
    return np.where(count[code] == 1, 0.0, np.round((1.0 - cosine).clip(0.0, 2.0), DECIMALS))


def distance_within_patient(distance: ArrayLike, patient: ArrayLike) -> NDArray[np.float64]:
    """Return each `patient_distance` with the z and rank of `within_patient`: float64 (n, 3), `DISTANCE_NAMES`."""
    return np.column_stack([np.asarray(distance, np.float64), within_patient(distance, patient)[:, 1:]])


def within_patient(score: ArrayLike, patient: ArrayLike) -> NDArray[np.float64]:
    """Return how each score differs from the scores of its patient: float64 (n, 3), the columns `NAMES`.

    `score` is finite, `patient` names the patient of each row, both (n,). difference is the score minus the mean of the
    patient. z is the difference in standard deviations of the patient's scores. rank is (r - 0.5) / m - 0.5 for the
    rank r of the score among the m images of the patient; ties share their mean rank. All three are 0 for a patient
    with one image.
    """
    frame = pd.DataFrame({"score": np.asarray(score, np.float64), "patient": np.asarray(patient, dtype=str)})
    groups = frame.groupby("patient")["score"]
    count = groups.transform("size")
    difference = (frame["score"] - groups.transform("mean")).mask(count == 1, 0.0)
    deviation = groups.transform("std", ddof=0)
    # By rounding, equal scores may differ from their mean by 1e-17, which is several of their standard deviations.
    differ = groups.transform("max") > groups.transform("min")
    z = (difference / deviation.where(differ)).fillna(0.0)
    rank = (groups.rank(method="average") - 0.5) / count - 0.5
    return np.stack([difference, z, rank], axis=1)


def _lengths(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)))
