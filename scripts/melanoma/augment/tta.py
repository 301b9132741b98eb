"""Test-time augmentation: the views of an image whose predictions are averaged.

Views are transforms like those of training. So an image is read once, and each view is resampled once. If the network's
input has the stored size, flips and quarter turns only permute the pixels.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit, logsumexp

from melanoma.augment.transforms import Transforms, fixed_transforms, random_transforms
from melanoma.config.augmentation import TTA, Augmentation, Blank

NO_TTA = TTA()
# Random views are drawn as those of an epoch that no training has. Each image has this many sample indices in it.
TTA_EPOCH = 2**32
MAX_VIEWS = 2**20


def view_count(tta: TTA) -> int:
    """Return the number of views of an image."""
    return tta.n if tta.name == "random" else len(_geometry(tta))


def views(
    tta: TTA,
    augmentation: Augmentation,
    seed: int,
    indices: NDArray[np.integer],
    input_size: int,
    output_size: int,
) -> Transforms:
    """Return the transforms of all views of the images `indices`, (images * views, ...), image after image.

    `input_size` and `output_size` are the sides in pixels of what `frame` shows and of a view. Only random views
    read `augmentation` and `seed`, which are those of the recipe. They have its geometry, colors and noise, but not its
    hair, blur, cutout and blank, which hide parts of the image. They depend on (seed, index, view) alone, so a larger
    `n` adds views to the same ones.
    """
    if tta.name == "random":
        samples = indices.astype(np.int64)[:, None] * MAX_VIEWS + np.arange(tta.n)
        shown = augmentation.model_copy(update={"blank": Blank()})
        return random_transforms(shown, seed, TTA_EPOCH, samples.ravel(), input_size, output_size)
    return fixed_transforms(np.tile(_geometry(tta), (len(indices), 1, 1)), input_size, output_size)


def frame(tta: TTA, stored_size: int, input_size: int) -> tuple[slice, int]:
    """Return which pixels of a stored image the views show, in both directions, and the side of a view in pixels.

    `input_size` is the side of the images in training.
    """
    match tta.frame:
        case "full_size":
            return slice(0, stored_size), stored_size
        case "center_crop":
            margin = (stored_size - input_size) // 2
            return slice(margin, margin + input_size), input_size
        case "scaled":
            return slice(0, stored_size), input_size


def average(logits: NDArray[np.float64], mean_of: Literal["logit", "probability"]) -> NDArray[np.float64]:
    """Return the mean over views of `logits` (n, views), as logits (n,).

    `mean_of` is logit or probability. The mean of probabilities is computed through logarithms, so that no probability
    is rounded to 0 or 1.
    """
    mean: NDArray[np.float64]
    if mean_of == "logit":
        mean = logits.mean(axis=1)
    else:
        mean = logsumexp(log_expit(logits), axis=1) - logsumexp(log_expit(-logits), axis=1)
    return mean


def _geometry(tta: TTA) -> NDArray[np.float64]:
    """Return transforms (views, 3, 3) from output to stored positions, in units of the side, from the center."""
    match tta.name:
        case "flips":
            return _flips()
        case "dihedral":
            transposed = np.eye(3)[[1, 0, 2]]
            return np.concatenate([_flips(), transposed @ _flips()])
        case "crops":
            reach = (1 - tta.scale) / 2
            corners = [(x, y) for y in (-reach, reach) for x in (-reach, reach)]
            return np.stack([np.eye(3), *(_crop(tta.scale, *middle) for middle in [(0, 0), *corners])])
        case _:
            return np.eye(3)[None]


def _flips() -> NDArray[np.float64]:
    return np.stack([np.diag([x, y, 1.0]) for y in (1, -1) for x in (1, -1)])


def _crop(side: float, x: float, y: float) -> NDArray[np.float64]:
    return np.array([[side, 0, x], [0, side, y], [0, 0, 1]])
