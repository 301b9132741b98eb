"""The share of melanomas among the nearest training images, by the cosine distance of their features.

Nothing is learned: the model keeps the features of its training images. All runs of a model share one gallery of them.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self, TypedDict

import numpy as np
from numpy.typing import NDArray

from melanoma.common.cli import log
from melanoma.common.errors import InputError
from melanoma.models.plain_classifiers import Vector
from melanoma.stats.calibration import patient_folds

# The numbers of neighbors of which the best is chosen.
COUNTS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
INNER_FOLDS = 5
# A neighbor has the weight 1 / distance, and this least distance: copies of an image do not get endless weights.
LEAST_DISTANCE = 1e-6
QUERIES_AT_ONCE = 256
FLOAT = "<f4"

Rows = NDArray[np.int64]


class GalleryValues(TypedDict):
    """A `Gallery` in a file: its features in base64, as the bytes of float32, the lowest byte first."""

    width: int
    features: str
    target: list[int]


class NeighborsValues(TypedDict):
    """A `Neighbors` in a file that also has its gallery."""

    kind: Literal["neighbors"]
    n_neighbors: int
    rows: list[int]


@dataclass(frozen=True)
class Gallery:
    """The `features` (n, width) float32 of training images, and their `target` (n,), 0 or 1."""

    features: NDArray[np.float32]
    target: NDArray[np.int64]

    @classmethod
    def from_dict(cls, values: GalleryValues) -> Self:
        """Return the gallery of these values."""
        numbers = np.frombuffer(base64.b64decode(values["features"]), FLOAT).astype(np.float32)
        return cls(numbers.reshape(-1, values["width"]), np.array(values["target"], np.int64))

    def to_dict(self) -> GalleryValues:
        """Return its plain values."""
        features = base64.b64encode(self.features.astype(FLOAT).tobytes()).decode()
        return {"width": self.features.shape[1], "features": features, "target": self.target.tolist()}


@dataclass(frozen=True)
class Neighbors:
    """A classifier of features by the `n_neighbors` nearest of some `rows` (m,) of a gallery."""

    gallery: Gallery
    rows: Rows
    n_neighbors: int

    @classmethod
    def from_dict(cls, values: NeighborsValues, gallery: Gallery) -> Self:
        """Return the classifier of these values, whose rows are those of `gallery`."""
        return cls(gallery, np.array(values["rows"], np.int64), values["n_neighbors"])

    def to_dict(self) -> NeighborsValues:
        """Return its plain values, without the gallery."""
        return {"kind": "neighbors", "n_neighbors": self.n_neighbors, "rows": self.rows.tolist()}

    def predict(self, columns: Vector) -> Vector:
        """Return the probabilities of melanoma, (n,), of features `columns` (n, width)."""
        return _probabilities(self.gallery, self.rows, columns, [self.n_neighbors])[:, 0]


def fit_neighbors(
    gallery: Gallery, rows: Rows, patient: NDArray[np.str_], seed: int, n_neighbors: int | None
) -> Neighbors:
    """Return the classifier by the `rows` of a gallery, which are images of `patient` (m,).

    If `n_neighbors` is None, it is the number of `COUNTS` with the lowest log loss in an inner cross-validation of the
    same rows, in folds of patients that `seed` draws; of equal ones the largest. Raises InputError if there are fewer
    images than neighbors, or if all images are of one patient.
    """
    if n_neighbors is None:
        n_neighbors = _chosen(gallery, rows, patient, seed)
    elif n_neighbors > len(rows):
        raise InputError(
            f"nearest_neighbors.n_neighbors is {n_neighbors}, and a training has only {len(rows)} images; give a"
            " smaller number, or null, which chooses one"
        )
    return Neighbors(gallery, rows, n_neighbors)


def _chosen(gallery: Gallery, rows: Rows, patient: NDArray[np.str_], seed: int) -> int:
    target = gallery.target[rows]
    fold = patient_folds(target, patient, INNER_FOLDS, seed)
    least = len(rows) - int(np.bincount(fold).max())
    counts = [count for count in COUNTS if count <= least]
    if not counts:
        raise InputError("the number of neighbors cannot be chosen: all training images are of one patient")
    losses = np.zeros(len(counts))
    for number in np.unique(fold):
        held_out = fold == number
        probability = _probabilities(gallery, rows[~held_out], gallery.features[rows[held_out]], counts)
        likelihood = np.where(target[held_out, None] == 1, probability, 1 - probability)
        losses -= np.log(likelihood.clip(1e-15)).sum(axis=0)
    best = len(counts) - 1 - int(losses[::-1].argmin())
    log.info("%d neighbors: log loss %.4f in the inner folds", counts[best], losses[best] / len(rows))
    return counts[best]


def _probabilities(gallery: Gallery, rows: Rows, queries: NDArray[np.floating], counts: Sequence[int]) -> Vector:
    """Return for each query and each number of neighbors the probability of melanoma, (n, counts).

    It is the share of melanomas among these neighbors, and among one image more that has the prevalence of the rows:
    otherwise a share of 0 or 1 would be a probability without an error.
    """
    known, target = _unit(gallery.features[rows]), gallery.target[rows]
    most, numbers = max(counts), np.array(counts)
    shares = np.empty((len(queries), len(counts)))
    for start in range(0, len(queries), QUERIES_AT_ONCE):
        part = slice(start, start + QUERIES_AT_ONCE)
        for share, distance in zip(shares[part], 1 - _unit(queries[part]) @ known.T, strict=True):
            nearest = _nearest(distance, most)
            weight = 1 / np.maximum(distance[nearest], LEAST_DISTANCE)
            share[:] = (np.cumsum(weight * target[nearest]) / np.cumsum(weight))[numbers - 1]
    return np.asarray((numbers * shares + target.mean()) / (numbers + 1), np.float64)


def _nearest(distance: Vector, count: int) -> Rows:
    """Return the places of the smallest distances, the nearest first; of equal ones, those that come first."""
    near = np.flatnonzero(distance <= np.partition(distance, count - 1)[count - 1])
    return near[np.argsort(distance[near], kind="stable")][:count]


def _unit(features: NDArray[np.floating]) -> Vector:
    """Return the features of each image divided by their length, float64; features of length 0 stay."""
    wide = features.astype(np.float64)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.asarray(wide / np.where(length > 0, length, 1), np.float64)
