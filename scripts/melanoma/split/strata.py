"""Strata: what each part of a split should have its share of."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

COMMON_SIZE = 0.01  # a size in pixels that this share of the images has is a class of its own


def strata_of(
    images: pd.DataFrame, group: NDArray[np.integer], stratify: list[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return counts by group (g, r) and (g, c): of the rarer class, and of all others; see `split.assign`.

    `images`: patient, target, width, height; `group` (n,) numbers their groups. target tells the classes apart;
    images_per_patient adds the number of patients with 1, 2-3, 4-7, ... images; size adds each class's images by size
    class, which is a common width and height, or none of them.
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
    return pd.factorize(sizes.where(share >= COMMON_SIZE, 0))[0].astype(np.int64)


def _patient_class(images: pd.DataFrame) -> NDArray[np.int64]:
    count = images.groupby("patient")["image"].transform("size")
    return np.frexp(count.to_numpy())[1].astype(np.int64)


def _table(group: NDArray[np.integer], stratum: NDArray[np.int64], groups: int, strata: int) -> NDArray[np.int64]:
    return np.bincount(group * strata + stratum, minlength=groups * strata).reshape(groups, strata)
