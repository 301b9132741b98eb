"""The split: which images are test, and which fold each other image is in; no patient is in two of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from melanoma.command import log
from melanoma.errors import InputError, listing

TEST_COLUMNS = ["row", "image", "patient", "lesion", "sex", "age", "site", "source"]
TRAIN_COLUMNS = [*TEST_COLUMNS[:-1], "diagnosis", "source", "target", "fold"]


def usable_images(catalog: pd.DataFrame, quality: pd.DataFrame) -> pd.DataFrame:
    """Return the catalog's readable images in its order, with `row`: the image's row in the store, int64.

    Raises InputError where the two tables are not of the same images.
    """
    different = set(catalog["image"]).symmetric_difference(quality["image"])
    if different or len(catalog) != len(quality):
        raise InputError(
            f"catalog and quality table differ in {len(different)} images:\n{listing(sorted(different))}\n"
            "Prepare the images of this catalog again"
        )
    stored = quality.loc[quality["readable"], ["image"]].assign(row=lambda table: np.arange(len(table)))
    return catalog.merge(stored, on="image", how="inner", validate="1:1")


def read_pairs(path: str | Path | None) -> pd.DataFrame:
    """Read a CSV of duplicates, whose first two columns are image names; return columns first and second."""
    if path is None:
        return pd.DataFrame({"first": [], "second": []}, dtype="str")
    try:
        pairs = pd.read_csv(path, dtype="str")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such list of duplicates. Correct split.duplicates, or fetch it") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a CSV table: {error}. Save the list of duplicates as CSV") from error
    if pairs.shape[1] < 2:
        raise InputError(f"{path}: has {pairs.shape[1]} column, expected two of image names, separated by a comma")
    pairs = pairs.iloc[:, :2].set_axis(["first", "second"], axis=1)
    if pairs.isna().any(axis=None):
        lines = (np.flatnonzero(pairs.isna().any(axis=1)) + 2).tolist()
        raise InputError(f"{path}: lines {lines[:10]} lack one of the two image names. Fill them in or remove them")
    return pairs


def split_images(images: pd.DataFrame, pairs: pd.DataFrame, settings: dict[str, Any]) -> pd.DataFrame:
    """Return `images` with group (int32), part ('train' or 'test') and fold (int8, -1 for test).

    Images linked through any of `group_by` (patient, lesion) or a listed pair are one group, and a group is
    in one part and one fold. Test gets `test_fraction` of the images and of each class, each of `folds` an
    equal share of the rest. The same seed gives the same split, whatever the order of the rows. Raises
    InputError where the test part or a fold would lack melanomas or benign images.
    """
    by_name = images.sort_values("image", ignore_index=True)
    group = group_images(by_name, settings["group_by"], pairs)
    counts = np.zeros((group.max() + 1, 2), np.int64)
    np.add.at(counts, (group, by_name["target"].to_numpy()), 1)
    random = np.random.default_rng(settings["seed"])
    test_fraction, folds = settings["test_fraction"], settings["folds"]
    is_test = assign(counts, [1 - test_fraction, test_fraction], random) == 1
    fold = np.full(len(counts), -1, np.int8)
    fold[~is_test] = assign(counts[~is_test], [1 / folds] * folds, random)
    _require_both_classes(by_name.assign(fold=fold[group], group=group), folds)
    parts = pd.DataFrame(
        {"image": by_name["image"], "group": group, "part": np.where(is_test, "test", "train")[group]}
    ).assign(fold=fold[group])
    return images.merge(parts.astype({"part": "str"}), on="image", how="left", validate="1:1")


def group_images(images: pd.DataFrame, keys: list[str], pairs: pd.DataFrame) -> np.ndarray:
    """Number the groups of images (n,) int32 in order of their first image.

    A group is a connected component: two images are linked where they share a value of a key or are a listed
    pair.
    """
    count = len(images)
    number = pd.Series(np.arange(count), index=images["image"])
    known = pairs[pairs["first"].isin(number.index) & pairs["second"].isin(number.index)]
    starts, ends = [number[known["first"]].to_numpy()], [number[known["second"]].to_numpy()]
    nodes = count
    for key in keys:
        codes, values = pd.factorize(images[key])
        has_value = np.flatnonzero(codes >= 0)
        starts.append(has_value)
        ends.append(nodes + codes[has_value])
        nodes += len(values)
    start, end = np.concatenate(starts), np.concatenate(ends)
    links = coo_array((np.ones(len(start), bool), (start, end)), shape=(nodes, nodes))
    labels = connected_components(links, directed=False)[1][:count]
    return pd.factorize(labels)[0].astype(np.int32)


def assign(counts: np.ndarray, shares: list[float], random: np.random.Generator) -> np.ndarray:
    """Distribute groups over parts, each with its share of both classes; return (g,) int64 part numbers.

    `counts` (g, 2) are each group's images per class. Groups are taken from the large to the small, those
    with the rarer class first, in random order among those of about one size. Each goes to the part that is
    filled least for its share with half the group counted in: Sainte-Laguë's rule, which treats small and
    large parts alike, so that test gets its share of the large patients too. (Counting the whole group would
    keep them all in train.)
    """
    rare = int(counts[:, 1].sum() <= counts[:, 0].sum())
    counts = counts[:, [rare, 1 - rare]]
    rare_size, common_size = np.frexp(counts)[1].T  # 1, 2-3, 4-7, ... images
    order = np.lexsort((random.permutation(len(counts)), -common_size, -rare_size))
    filled = [[0.0, 0.0] for _ in shares]
    parts = np.empty(len(counts), np.int64)
    for group, (rares, commons) in zip(order.tolist(), counts[order].tolist(), strict=True):
        fills = [
            (rares and (has[0] + rares / 2) / share, (has[1] + commons / 2) / share)
            for has, share in zip(filled, shares, strict=True)
        ]
        part = fills.index(min(fills))
        filled[part][0] += rares
        filled[part][1] += commons
        parts[group] = part
    return parts


def log_split(split: pd.DataFrame, pairs: pd.DataFrame) -> None:
    """Log the images, melanomas and patients of the test part and of each fold, and the pairs that apply."""
    linked = pairs["first"].isin(split["image"]) & pairs["second"].isin(split["image"])
    log.info("%d of %d listed duplicate pairs are among the images", linked.sum(), len(pairs))
    for fold, rows in split.groupby("fold"):
        name, melanomas, patients = _part_name(fold), rows["target"].sum(), rows["patient"].nunique()
        log.info("%s: %d images, %d melanomas, %d patients", name, len(rows), melanomas, patients)


def _require_both_classes(images: pd.DataFrame, folds: int) -> None:
    faults = []
    for target, word in ((1, "melanoma"), (0, "benign image")):
        of_class = images[images["target"] == target]
        present = set(of_class["fold"])
        lacking = [_part_name(fold) for fold in range(-1, folds) if fold not in present]
        if lacking:
            patients, groups = of_class["patient"].nunique(), of_class["group"].nunique()
            faults.append(
                f"{', '.join(lacking)}: no {word}. There are {len(of_class)} of {patients} patients,"
                f" in {groups} groups that stay together, for test and {folds} folds"
            )
    if faults:
        raise InputError(
            f"the split leaves a class out:\n{listing(faults)}\n"
            "Use fewer folds (split.folds), for test a larger split.test_fraction, or more patients"
        )


def _part_name(fold: int) -> str:
    return "test" if fold < 0 else f"fold {fold}"
