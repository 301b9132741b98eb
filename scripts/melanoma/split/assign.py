"""Splits images into test and folds. With method grouped, no patient is in two of them."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from melanoma.common.cli import log
from melanoma.common.errors import InputError, listing
from melanoma.config.split import Split as SplitSettings
from melanoma.data.units import unit
from melanoma.split.balanced_cuts import assign
from melanoma.split.given import LEFT_OUT, TEST, UNPLACED, predefined, saved
from melanoma.split.strata import find_strata
from melanoma.tables.identifiers import image_names
from melanoma.tables.tables import read_frame, row_name

TEST_COLUMNS = ["row", "image", "patient", "unit", "lesion", "sex", "age", "site", "width", "height", "source"]
TRAIN_COLUMNS = [*TEST_COLUMNS[:-1], "diagnosis", "source", "target", "fold"]
EXTRA = -1  # fold of the images that train in every fold


class Split(NamedTuple):
    """`images` with group (int32), part ('train' or 'test') and fold (int8); `left_out`: image and reason."""

    images: pd.DataFrame
    left_out: pd.DataFrame


def usable_images(catalog: pd.DataFrame, quality: pd.DataFrame) -> pd.DataFrame:
    """Return the readable images of the catalog, in its order, with `row`, their row in the store, int64.

    Width and height are those of the original image, from the quality table. Raises InputError if the two tables have
    different images.
    """
    different = set(catalog["image"]).symmetric_difference(quality["image"])
    if different or len(catalog) != len(quality):
        raise InputError(
            f"catalog and quality table differ in {len(different)} images:\n{listing(sorted(different))}\n"
            "Prepare the images of this catalog again"
        )
    stored = quality.loc[quality["readable"], ["image", "width", "height"]]
    stored = stored.assign(row=lambda table: np.arange(len(table)))
    return catalog.drop(columns=["width", "height"], errors="ignore").merge(
        stored, on="image", how="inner", validate="1:1"
    )


def read_pairs(path: str | Path | None) -> pd.DataFrame:
    """Read a table of duplicates, whose first two columns are image names; return columns first and second."""
    if path is None:
        return pd.DataFrame({"first": [], "second": []}, dtype="str")
    table = read_frame(Path(path))
    if table.shape[1] < 2:
        raise InputError(f"{path}: has {table.shape[1]} column, expected two of image names, separated by a comma")
    pairs = table.iloc[:, :2].set_axis(["first", "second"], axis=1).apply(image_names)
    incomplete = pairs.index[pairs.isna().any(axis=1)]
    if len(incomplete):
        rows = listing(f"{row_name(path)} {number}" for number in incomplete)
        raise InputError(f"{path}: rows that lack one of the two image names:\n{rows}\nFill them in or remove them")
    return pairs.reset_index(drop=True)


def split_images(images: pd.DataFrame, pairs: pd.DataFrame, settings: SplitSettings) -> Split:
    """Split `images` by the method of `settings`.

    Images that share a value of `group_by`, or are one of `pairs`, are in the same group. An image of role extra_train
    trains in every fold (fold -1). It is left out if its group has an image of the study, which is test or validation.
    Raises InputError if test or a fold would lack melanomas or benign images.
    """
    by_name = images.sort_values("image", ignore_index=True)
    by_name = by_name.assign(group=group_images(by_name, settings.group_by, pairs))
    in_study = by_name["role"] == "study"
    study, extra = by_name[in_study], by_name[~in_study]
    fold = METHODS[settings.method](images[images["role"] == "study"], study, settings)
    study = study.assign(fold=study["image"].map(fold).astype(np.int8))
    touching = extra["group"].isin(study["group"])
    divided = pd.concat([study[study["fold"] != LEFT_OUT], extra[~touching].assign(fold=np.int8(EXTRA))])
    _require_both_classes(divided[divided["role"] == "study"], settings.folds)
    is_test = (divided["role"] == "study") & (divided["fold"] == TEST)
    divided = divided.assign(part=pd.Series(np.where(is_test, "test", "train"), index=divided.index, dtype="str"))
    left_out = {
        UNPLACED.get(settings.method, ""): study.loc[study["fold"] == LEFT_OUT, "image"],
        "extra_train image linked to an image of the study": extra.loc[touching, "image"],
    }
    return Split(
        images.merge(divided[["image", "group", "part", "fold"]], on="image", how="inner", validate="1:1"),
        pd.concat(
            [pd.DataFrame({"image": names, "reason": reason}, dtype="str") for reason, names in left_out.items()]
        ),
    )


def group_images(images: pd.DataFrame, keys: Sequence[str], pairs: pd.DataFrame) -> NDArray[np.int32]:
    """Return the group of each image, (n,), numbered in the order of their first images.

    A group is a connected component of a graph that links two images if they share a value of a key or are a pair.
    """
    count = len(images)
    names = pd.Index(images["image"])
    first, second = names.get_indexer(pairs["first"]), names.get_indexer(pairs["second"])
    known = (first >= 0) & (second >= 0)
    starts, ends = [first[known]], [second[known]]
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
    groups: NDArray[np.int32] = pd.factorize(labels)[0].astype(np.int32)
    return groups


def find_units(images: pd.DataFrame, keys: Sequence[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Return the unit of each image, (n,), and the names of the units, (u,).

    A unit is a patient. Where `keys` has no patient, or an image has none, its lesion stands in, and then the image
    alone. A group has several units if a lesion or a pair links them.
    """
    name = "image " + images["image"]
    for key in sorted(keys):  # lesion, then patient, which overrules it
        name = (f"{key} " + images[key]).fillna(name)
    unit, names = pd.factorize(name)
    return unit, list(names)


def log_split(split: Split, pairs: pd.DataFrame) -> None:
    """Log the images, melanomas and patients of each part and fold, and the images that are left out."""
    images = split.images
    linked = pairs["first"].isin(images["image"]) & pairs["second"].isin(images["image"])
    log.info("%d of %d pairs of duplicates and near-duplicates are among the images", linked.sum(), len(pairs))
    for reason, count in split.left_out["reason"].value_counts().items():
        log.info("left out: %d images, %s", count, reason)
    for (role, fold), rows in images.groupby(["role", "fold"]):
        name = _part_name(fold) if role == "study" else role
        melanomas, patients = rows["target"].sum(), rows["patient"].nunique()
        log.info("%s: %d images, %d melanomas, %d %ss", name, len(rows), melanomas, patients, unit(images))


def _grouped(_: pd.DataFrame, study: pd.DataFrame, settings: SplitSettings) -> pd.Series:
    """Put each group into test or one fold, stratified, by a hash. The order of the rows does not change the split."""
    group = pd.factorize(study["group"])[0]
    unit, names = find_units(study, settings.group_by)
    group_by_unit = group[np.unique(unit, return_index=True)[1]]
    test, folds = settings.test_fraction, settings.folds
    cuts = [test + (1 - test) * fold / folds for fold in range(folds)]
    parts = assign(names, group_by_unit, find_strata(study, unit, settings.stratify), cuts, settings.seed)
    return pd.Series((parts - 1).astype(np.int8)[group], index=study["image"])  # test is part 0, and fold -1


def _sequential(in_order: pd.DataFrame, _: pd.DataFrame, settings: SplitSettings) -> pd.Series:
    """Cut the tables in their order and ignore patients: the last rows are test, the others are equal folds."""
    count, folds = len(in_order), settings.folds
    train = count - math.ceil(round(settings.test_fraction * count, 6))
    fold = np.full(count, TEST, np.int8)
    fold[:train] = np.arange(train) * folds // train
    return pd.Series(fold, index=in_order["image"])


METHODS = {"grouped": _grouped, "sequential": _sequential, "predefined": predefined, "saved": saved}


def _require_both_classes(images: pd.DataFrame, folds: int) -> None:
    faults = []
    for target, word in ((1, "melanoma"), (0, "benign image")):
        of_class = images[images["target"] == target]
        present = set(of_class["fold"])
        empty = [_part_name(fold) for fold in range(-1, folds) if fold not in present]
        if empty:
            patients, groups = of_class["patient"].nunique(), of_class["group"].nunique()
            faults.append(
                f"{', '.join(empty)}: no {word}. The study has {len(of_class)}, of {patients} {unit(images)}(s), in"
                f" {groups} group(s) that stay together, for test and {folds} folds"
            )
    if faults:
        raise InputError(
            f"the split has a part without one of the classes:\n{listing(faults)}\n"
            "Use fewer folds (split.folds), a larger test set (split.test_fraction) or more patients. A group of many"
            " images often comes from a patient_id such as 'unknown': give each patient an id"
        )


def _part_name(fold: int) -> str:
    return "test" if fold < 0 else f"fold {fold}"
