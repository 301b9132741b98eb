"""The strata of a split: classes, patients and sizes, of which each part gets its share."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

COMMON_SIZE = 0.01  # least share of the images with the same width and height that are a size class


def count_strata(
    images: pd.DataFrame, group: NDArray[np.integer], stratify: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the counts of each group by stratum, (g, r) for the rarer class and (g, c) for the rest; see `assign`.

    `images` has patient, target, width and height; `group` (n,) numbers their groups. With target in `stratify`, the
    classes are counted apart. With images_per_patient, patients with 1, 2-3, 4-7, ... images are strata. With size, the
    images of each class are counted by size class: a common width and height, or any other.
    """
    target = images["target"].to_numpy()
    rare = target == int(2 * target.sum() <= len(target))
    if "target" not in stratify:
        rare = np.zeros(len(images), bool)
    sides = [[(of_class, np.zeros(len(images), np.int64))] for of_class in (rare, ~rare)]
    if "size" in stratify:
        for side in sides:
            side.append((side[0][0], _size_class(images)))
    if "images_per_patient" in stratify:
        sides[1].append((~images["patient"].duplicated().to_numpy(), _patient_class(images)))
    groups = int(group.max()) + 1
    rare_counts, common_counts = (
        np.hstack([_table(group[chosen], stratum[chosen], groups, stratum.max() + 1) for chosen, stratum in side])
        for side in sides
    )
    return rare_counts, common_counts


def _size_class(images: pd.DataFrame) -> NDArray[np.int64]:
    sizes = images["width"].astype("int64") * 100_000 + images["height"]
    share = sizes.map(sizes.value_counts(normalize=True))
    return np.asarray(pd.factorize(sizes.where(share >= COMMON_SIZE, 0))[0], np.int64)


def _patient_class(images: pd.DataFrame) -> NDArray[np.int64]:
    count = images.groupby("patient")["image"].transform("size")
    return np.asarray(np.frexp(count.to_numpy())[1], np.int64)


def _table(group: NDArray[np.integer], stratum: NDArray[np.int64], groups: int, strata: int) -> NDArray[np.int64]:
    return np.bincount(group * strata + stratum, minlength=groups * strata).reshape(groups, strata)
