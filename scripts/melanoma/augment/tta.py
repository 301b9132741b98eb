"""Test-time augmentation: the views of an image whose predictions are averaged.

Views are transforms like those of training, so an image is read once and each view resampled once. Flips and quarter
turns are exact permutations of the pixels where the network sees the stored size.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit, logsumexp

from melanoma.augment.transforms import Transforms, fixed_transforms, random_transforms

NO_TTA = {"name": "none", "mean_of": "logit"}
# Random views are drawn as those of an epoch that no training reaches; each image has this many sample indices in it.
TTA_EPOCH = 2**32
MOST_VIEWS = 2**20


def view_count(tta: dict[str, Any]) -> int:
    """Return the number of views of an image."""
    return tta["n"] if tta["name"] == "random" else len(_geometry(tta))


def views(
    tta: dict[str, Any], recipe: dict[str, Any], indices: NDArray[np.integer], input_size: int, output_size: int
) -> Transforms:
    """Return the transforms of all views of the images `indices`, (images * views, ...), those of an image together.

    `input_size` and `output_size` are the sides in pixels of the stored image and of what the network sees. Random
    views have the geometry, colors and noise of the recipe's augmentation, but not its hair, blur and cutout:
    these hide what the prediction is to see. They are functions of (seed, index, view), so more views begin with the
    same ones. Of `recipe`, seed and augmentation are read, and for random views alone.
    """
    if tta["name"] == "random":
        samples = indices.astype(np.int64)[:, None] * MOST_VIEWS + np.arange(tta["n"])
        settings, seed = recipe["augmentation"], recipe["seed"]
        return random_transforms(settings, seed, TTA_EPOCH, samples.ravel(), input_size, output_size)
    return fixed_transforms(np.tile(_geometry(tta), (len(indices), 1, 1)), input_size, output_size)


def average(logits: NDArray[np.float64], mean_of: str) -> NDArray[np.float64]:
    """Return the mean over views of `logits` (n, views), as logits (n,).

    `mean_of` is logit or probability; the latter is computed in logarithms, so that none is rounded to 0 or 1.
    """
    if mean_of == "logit":
        return logits.mean(axis=1)
    return logsumexp(log_expit(logits), axis=1) - logsumexp(log_expit(-logits), axis=1)


def _geometry(tta: dict[str, Any]) -> NDArray[np.float64]:
    """Transforms (views, 3, 3) from output to stored positions, in units of the side with the center at 0."""
    match tta["name"]:
        case "flips":
            return _flips()
        case "dihedral":
            transposed = np.eye(3)[[1, 0, 2]]
            return np.concatenate([_flips(), transposed @ _flips()])
        case "crops":
            reach = (1 - tta["scale"]) / 2
            corners = [(x, y) for y in (-reach, reach) for x in (-reach, reach)]
            return np.stack([np.eye(3), *(_crop(tta["scale"], *middle) for middle in [(0, 0), *corners])])
        case _:
            return np.eye(3)[None]


def _flips() -> NDArray[np.float64]:
    return np.stack([np.diag([x, y, 1.0]) for y in (1, -1) for x in (1, -1)])


def _crop(side: float, x: float, y: float) -> NDArray[np.float64]:
    return np.array([[side, 0, x], [0, side, y], [0, 0, 1]])
