"""Which training images an epoch shows, and in which order."""

import warnings
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melanoma.randomness import derived_seed


def epoch_order(targets: NDArray[np.integer], settings: dict[str, Any], seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the indices of one epoch's images in their order; a function of the arguments alone.

    natural: each image once. oversample: every image, and random repeats of the rarer class until it has `ratio` times
    as many as the other, by imbalanced-learn's RandomOverSampler; a rarer class that has more already stays as it is.
    """
    indices = np.arange(len(targets))
    if settings["name"] == "oversample":
        indices = _oversampled(indices, targets, settings["ratio"], derived_seed(seed, epoch, 0))
    return np.random.default_rng(derived_seed(seed, epoch, 1)).permutation(indices)


def batch_slices(length: int, batch_size: int) -> list[slice]:
    """Cut an epoch of `length` images into batches of at most `batch_size`, whose sizes differ by one at most.

    A last batch of a single image, for which batch norm is not defined, does not arise.
    """
    count = -(-length // batch_size)
    bounds = np.linspace(0, length, count + 1).round().astype(int)
    return [slice(int(start), int(stop)) for start, stop in pairwise(bounds)]


def _oversampled(
    indices: NDArray[np.int64], targets: NDArray[np.integer], ratio: float, seed: int
) -> NDArray[np.int64]:
    counts = np.bincount(targets, minlength=2)
    if counts.min() >= ratio * counts.max():
        return indices
    from imblearn.over_sampling import RandomOverSampler  # takes seconds to import

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        sampled, _ = RandomOverSampler(sampling_strategy=ratio, random_state=seed).fit_resample(
            indices[:, None], targets
        )
    return sampled[:, 0]
