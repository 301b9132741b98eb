"""Colors and a sample of embeddings of the training images, to which new images are compared."""

from typing import NamedTuple, Self

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors.numpy import load, save

from melanoma.config.augmentation import TTA
from melanoma.images.store import ImageReader
from melanoma.training.loader import Examples
from melanoma.training.predictor import Predictor

COLORS = ("redness", "yellowness")
SAMPLE, HELD_OUT = 400, 200  # images
NEIGHBORS = 5
BEYOND = 0.01  # the share of the images that the network was not trained on and that are as far away
AT_ONCE = 64
SMALL = 128  # pixels


class Reference(NamedTuple):
    """A sample of training embeddings of length 1, float32 (m, width), and the limit of a distance to them."""

    embeddings: NDArray[np.float32]
    limit: float

    @classmethod
    def measure(cls, predictor: Predictor, tta: TTA, training: Examples, held_out: Examples) -> Self:
        """Return the reference of a network on training images and on images that it was not trained on."""
        embeddings, others = (predictor.predict(examples, tta)[1] for examples in (training, held_out))
        assert embeddings is not None and others is not None
        reference = cls(_unit(embeddings).astype(np.float16).astype(np.float32), 0.0)
        return reference._replace(limit=float(np.quantile(reference.distance(others), 1 - BEYOND)))

    def distance(self, embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the mean cosine distance of each embedding, (n, width), to its nearest neighbors: (n,), 0 to 2."""
        distance = 1 - _unit(embeddings) @ self.embeddings.T
        nearest = np.sort(distance, axis=1)[:, :NEIGHBORS]
        return np.asarray(nearest.mean(axis=1), np.float64)

    def to_bytes(self) -> bytes:
        """Return the content of a safetensors file, without the limit."""
        return save({"embeddings": self.embeddings.astype(np.float16)})

    @classmethod
    def from_bytes(cls, data: bytes, limit: float) -> Self:
        """Read the content of a file of `to_bytes`."""
        return cls(load(data)["embeddings"].astype(np.float32), limit)


def colors(store: ImageReader, rows: NDArray[np.int64]) -> pd.DataFrame:
    """Return the mean redness and yellowness of prepared images: the mean a* and b* of CIELAB."""
    parts = (store.read(rows[start : start + AT_ONCE]) for start in range(0, len(rows), AT_ONCE))
    means = [color(image) for part in parts for image in part]
    return pd.DataFrame(np.array(means, np.float64).reshape(-1, 2), columns=list(COLORS))


def color(pixels: NDArray[np.uint8]) -> tuple[float, float]:
    """Return the mean a* and b* of CIELAB of an image, uint8 (S, S, 3) RGB, from SMALL pixels a side if it is larger.

    The conversion of all pixels would take as long as the preparation of the image.
    """
    small = cv2.resize(pixels, (SMALL, SMALL), interpolation=cv2.INTER_AREA) if len(pixels) > SMALL else pixels
    _, redness, yellowness, _ = cv2.mean(cv2.cvtColor(small, cv2.COLOR_RGB2LAB))
    return redness - 128, yellowness - 128


def sample(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return at most `count` of the rows, the same ones each time."""
    return rows.sample(min(count, len(rows)), random_state=0).reset_index(drop=True)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1), np.float32)
