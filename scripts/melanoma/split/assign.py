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
from melanoma.config.data import Split as SplitSettings
from melanoma.data.identifiers import image_names, plain, plain_texts
from melanoma.data.tables import read_frame, row_name
from melanoma.data.units import unit
from melanoma.split.strata import count_strata

TEST_COLUMNS = ["row", "image", "patient", "unit", "lesion", "sex", "age", "site", "width", "height", "source"]
TRAIN_COLUMNS = [*TEST_COLUMNS[:-1], "diagnosis", "source", "target", "fold"]
TEST, LEFT_OUT = -1, -2
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
        "in neither test nor a fold of split.predefined": study.loc[study["fold"] == LEFT_OUT, "image"],
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
    groups: NDArray[np.int32] = pd.factorize(labels)[0].astype(np.int32)
    return groups


def assign(
    rare: NDArray[np.int64], common: NDArray[np.int64], shares: list[float], random: np.random.Generator
) -> NDArray[np.int64]:
    """Distribute groups over parts, each with its share of every stratum; return the part of each group, (g,).

    `rare` (g, r) and `common` (g, c) count the images or patients of each group by stratum; their first columns count
    all images of the rarer and of the other class. Groups are placed one by one, the large ones first, those with
    images of the rarer class before the others, and groups of about the same size in random order.

    A group goes to the part with the smallest fill. The fill is the sum over strata of the group's count, times what
    the part has of the stratum plus half the group's count, divided by the share of the part. The rarer class decides;
    the other class breaks ties. Half of the group counts as in the method of Sainte-Laguë, which favors neither small
    nor large parts. If the whole group counted, all large patients would be in train.
    """
    rare_size, common_size = np.frexp(rare[:, 0])[1], np.frexp(common[:, 0])[1]  # 1, 2-3, 4-7, ... images
    order = np.lexsort((random.permutation(len(rare)), -common_size, -rare_size))
    share = np.array(shares)
    sides = [(counts, np.zeros((len(shares), counts.shape[1]))) for counts in (rare, common)]
    parts = np.empty(len(rare), np.int64)
    for group in order.tolist():
        fills = [((has + counts[group] / 2) @ counts[group] / share).tolist() for counts, has in sides]
        part = min(range(len(shares)), key=list(zip(*fills, strict=True)).__getitem__)
        for counts, has in sides:
            has[part] += counts[group]
        parts[group] = part
    return parts


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
    """Put each group into test or one fold, stratified. The order of the rows does not change the split."""
    group = pd.factorize(study["group"])[0]
    rare, common = count_strata(study, group, settings.stratify)
    random = np.random.default_rng(settings.seed)
    test_fraction, folds = settings.test_fraction, settings.folds
    is_test = assign(rare, common, [1 - test_fraction, test_fraction], random) == 1
    fold = np.full(len(rare), TEST, np.int8)
    fold[~is_test] = assign(rare[~is_test], common[~is_test], [1 / folds] * folds, random)
    return pd.Series(fold[group], index=study["image"])


def _sequential(in_order: pd.DataFrame, _: pd.DataFrame, settings: SplitSettings) -> pd.Series:
    """Cut the tables in their order and ignore patients: the last rows are test, the others are equal folds."""
    count, folds = len(in_order), settings.folds
    train = count - math.ceil(round(settings.test_fraction * count, 6))
    fold = np.full(count, TEST, np.int8)
    fold[:train] = np.arange(train) * folds // train
    return pd.Series(fold, index=in_order["image"])


def _predefined(_: pd.DataFrame, study: pd.DataFrame, settings: SplitSettings) -> pd.Series:
    """Read test and folds from a column of a table. Images of other values are left out."""
    given = settings.predefined
    if given is None:
        raise InputError("split.method is predefined: give the table and the meaning of its values in split.predefined")
    if len(given.folds) != settings.folds:
        raise InputError(
            f"split.predefined.folds has the values of {len(given.folds)} folds, and split.folds is {settings.folds}."
            " Make them equal"
        )
    table = read_frame(Path(given.table))
    missing = [name for name in (given.image, given.column) if name not in table]
    if missing:
        raise InputError(
            f"{given.table}: no column {', '.join(missing)}; the columns are {', '.join(table.columns)}."
            " Correct split.predefined"
        )
    table = table.assign(
        **{given.column: plain_texts(table[given.column]), given.image: image_names(table[given.image])}
    )
    repeated = table.loc[table[given.image].duplicated(), given.image]
    if len(repeated):
        raise InputError(f"{given.table}: images in two rows:\n{listing(repeated)}\nRemove one row of each")
    value = study["image"].map(table.set_index(given.image)[given.column])
    unplaced = study.loc[value.isna(), "image"]
    if len(unplaced):
        raise InputError(
            f"{given.table}: {len(unplaced)} images of the study have no {given.column}:\n{listing(unplaced)}\n"
            "Add them; to leave an image out, give it a value that is in neither test nor a fold"
        )
    places = {plain(each): TEST for each in given.test}
    for fold, values in enumerate(given.folds):
        for each in map(plain, values):
            if each in places:
                raise InputError(f"split.predefined: {each} is in two of test and folds; give each value once")
            places[each] = fold
    return pd.Series(value.map(places).fillna(LEFT_OUT).astype(np.int8).to_numpy(), index=study["image"])


METHODS = {"grouped": _grouped, "sequential": _sequential, "predefined": _predefined}


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
