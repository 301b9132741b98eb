"""The strata of a split: groups of about the same number of images and melanomas, each divided by hash."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

COMMON_SIZE = 0.01  # least share of the images with the same width and height that are a size class


class Strata(NamedTuple):
    """The groups of a split: `rare` and `common` count their images of the rarer and of the other class, int64 (g,).

    `stratum` (g, 3) has the size class of most of a group's images, the class of `rare` and that of all its images.
    """

    rare: NDArray[np.int64]
    common: NDArray[np.int64]
    stratum: NDArray[np.int64]


def find_strata(images: pd.DataFrame, group: NDArray[np.integer], stratify: Sequence[str]) -> Strata:
    """Return the strata of the groups that `group` (n,) numbers; `images` has target, width and height.

    A class of a number is 0, 1, 2-3, 4-7, ... Without target in `stratify`, all images are of one class. Without
    images_per_patient, the number of all images counts only for groups without the rarer class, which even out the
    images. With size, the size class is a common width and height; 0 is any other.
    """
    target = images["target"].to_numpy()
    is_rare = target == int(2 * target.sum() <= len(target))
    if "target" not in stratify:
        is_rare = np.zeros(len(images), bool)
    size = np.bincount(group)
    rare = np.bincount(group[is_rare], minlength=len(size))
    stratum = np.column_stack([np.zeros_like(size), _power(rare), _power(size)])
    if "images_per_patient" not in stratify:
        stratum[rare > 0, 2] = 0
    if "size" in stratify:
        counts = pd.DataFrame({"group": group, "size": _size_class(images)}).value_counts(sort=False).reset_index()
        most = counts.sort_values(["group", "count", "size"]).drop_duplicates("group", keep="last")
        stratum[:, 0] = most["size"].to_numpy()
    return Strata(rare, size - rare, stratum)


def _power(count: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(np.frexp(count)[1], np.int64)


def _size_class(images: pd.DataFrame) -> NDArray[np.int64]:
    sizes = images["width"].astype("int64") * 100_000 + images["height"].astype("int64")
    share = sizes.map(sizes.value_counts(normalize=True))
    return np.asarray(sizes.where(share >= COMMON_SIZE, 0), np.int64)
