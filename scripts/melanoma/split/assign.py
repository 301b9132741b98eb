"""Splits images into test and folds. With method grouped, no patient is in two of them."""

import hashlib
import math
from collections import Counter
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
from melanoma.split.given import LEFT_OUT, TEST, UNPLACED, predefined, saved
from melanoma.split.strata import Strata, find_strata
from melanoma.tables.identifiers import image_names
from melanoma.tables.tables import read_frame, row_name

TEST_COLUMNS = ["row", "image", "patient", "unit", "lesion", "sex", "age", "site", "width", "height", "source"]
TRAIN_COLUMNS = [*TEST_COLUMNS[:-1], "diagnosis", "source", "target", "fold"]
EXTRA = -1  # fold of the images that train in every fold
SMALL = 0.6  # share of the images that are in the strata of small units, which even out the others
LARGER_FIRST = 1.2  # how much of an excess a stratum makes up for, as a multiple of its share of the images left


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


class _Stratum(NamedTuple):
    """The `members` of a stratum in the order of their hashes, and `weight`, their images of class `side`.

    Strata of one `size` class and `side` even out each other's errors. `start`, from 0 to 1, says which image of a unit
    must be before a cut. It is random, so large units are in test as often as others.
    """

    members: NDArray[np.int64]
    weight: NDArray[np.int64]
    side: int
    size: int
    start: float

    def cut(self, goals: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the part of each member: the number of `goals`, in images, that are reached before it."""
        reached = self.weight.cumsum() - (1 - self.start) * self.weight
        cut = np.maximum.accumulate(np.searchsorted(reached, goals))
        return np.searchsorted(cut, np.arange(len(reached)), side="right")


def assign(
    names: Sequence[str], group: NDArray[np.integer], strata: Strata, cuts: Sequence[float], seed: int
) -> NDArray[np.int64]:
    """Divide groups of units at `cuts`, which rise from 0 to 1, into parts 0 to len(cuts); return these parts, (g,).

    `names`, `group`, from 0 to g - 1, and `strata` are those of the units. The units of a stratum are in the order of a
    hash of the seed and their names. Each stratum is cut where its share of images is reached: of images of the rarer
    class, if its units have any, else of the others. A group of several units is where its unit with the most images
    is. Then the strata of small units are cut again, so that they make up for what a part has too much.

    So another image or link moves few units: those next to a cut of a stratum, and small ones. A greedy assignment is
    as even, but each group's place depends on all groups before it.
    """
    hashes = np.array([_fraction(f"{seed} {name}") for name in names])
    counts, share = np.column_stack([strata.rare, strata.common]), np.array(cuts)
    divided = _divide(strata, counts, hashes, seed)
    parts = np.empty(len(hashes), np.int64)
    for stratum in divided:
        parts[stratum.members] = stratum.cut(share * stratum.weight.sum())
    by_group = np.lexsort((hashes, -counts.sum(axis=1), group))
    largest = by_group[np.unique(group[by_group], return_index=True)[1]]
    parts = np.asarray(parts[largest][group], np.int64)
    _even_out(parts, _small(divided, np.bincount(group)[group] == 1), counts, strata.stratum[:, 0], share)
    parts, counts = parts[largest], np.column_stack([np.bincount(group, side) for side in counts.T]).astype(np.int64)
    for side in (0, 1):
        _fill_empty(parts, counts[:, side], counts[:, 1 - side], hashes[largest], len(cuts) + 1)
    return parts


def _divide(strata: Strata, counts: NDArray[np.int64], hashes: NDArray[np.float64], seed: int) -> list[_Stratum]:
    """Return the strata, by size class; in each, those of large units come first."""
    size, rarer, number = strata.stratum.T
    order = np.lexsort((hashes, -number, -rarer, size))
    ends = np.flatnonzero(np.diff(strata.stratum[order], axis=0).any(axis=1)) + 1
    divided = []
    for members in np.split(order, ends):
        kind = strata.stratum[members[0]].tolist()
        side = int(kind[1] == 0)
        start = _fraction(f"{seed} stratum {kind}")
        divided.append(_Stratum(members, counts[members, side], side, kind[0], start))
    return divided


def _small(divided: list[_Stratum], single: NDArray[np.bool_]) -> list[_Stratum]:
    """Return the strata of the smallest units that have `SMALL` of the images of a size class and side.

    Their members are the units of `single` only, which are groups of their own.
    """
    images, smaller = Counter[tuple[int, int]](), Counter[tuple[int, int]]()
    for stratum in divided:
        images[stratum.size, stratum.side] += stratum.weight.sum()
    small = []
    for stratum in reversed(divided):
        kind, alone = (stratum.size, stratum.side), single[stratum.members]
        if smaller[kind] < SMALL * images[kind] and alone.any():
            small.append(stratum._replace(members=stratum.members[alone], weight=stratum.weight[alone]))
        smaller[kind] += stratum.weight.sum()
    return small[::-1]


def _even_out(
    parts: NDArray[np.int64],
    small: list[_Stratum],
    counts: NDArray[np.int64],
    size: NDArray[np.int64],
    share: NDArray[np.float64],
) -> None:
    """Cut the strata `small` again, so that they make up for the excess of all others.

    The strata of larger units come first and make up for more than their share. So fewer units move, and the number of
    patients stays even, too. The last ones make up for what is left.
    """
    fixed = np.ones(len(parts), bool)
    left = Counter[tuple[int, int]]()
    for stratum in small:
        fixed[stratum.members] = False
        left[stratum.size, stratum.side] += stratum.weight.sum()
    excess = np.zeros((len(share), 2))  # images before each cut that are more than its share, by class
    for size_class in np.unique(size):
        chosen = fixed & (size == size_class)
        excess += _excess(counts[chosen], parts[chosen], share)
        for stratum in small:
            if stratum.size == size_class:
                kind, weight = (size_class, stratum.side), stratum.weight.sum()
                part = min(1, LARGER_FIRST * weight / left[kind])
                parts[stratum.members] = stratum.cut(share * weight - part * excess[:, stratum.side])
                left[kind] -= weight
                excess += _excess(counts[stratum.members], parts[stratum.members], share)


def _excess(counts: NDArray[np.int64], parts: NDArray[np.int64], share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many of `counts`, (units, 2), are before each cut, less the share of them all: (cuts, 2)."""
    before = np.array([counts[parts <= cut].sum(axis=0) for cut in range(len(share))])
    return np.asarray(before - share[:, None] * counts.sum(axis=0))


def _fill_empty(
    parts: NDArray[np.int64],
    count: NDArray[np.int64],
    others: NDArray[np.int64],
    hashes: NDArray[np.float64],
    number: int,
) -> None:
    """Give each part without images of a class the smallest group that has some, of the part with most such groups."""
    for empty in range(number):
        groups = np.bincount(parts[count > 0], minlength=number)
        if groups[empty] == 0 and groups.max() > 1:
            members = np.flatnonzero((count > 0) & (parts == groups.argmax()))
            parts[members[np.lexsort((hashes[members], others[members], count[members]))[0]]] = empty


def _fraction(text: str) -> float:
    """Return a hash of a text, from 0 to 1."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) / 2**64


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
