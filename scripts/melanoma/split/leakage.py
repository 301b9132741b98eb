"""Searches the tables of a split for leaks: images of one patient in two parts, labels in features, and more.

`check` does not read the labels of the test. `check_test` does; it runs when all models have predicted.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, NotRequired, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.common.errors import InputError, listing
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.data.units import patients_notice, unit
from melanoma.split.assign import group_images

REMEDY = (
    "The scores of such a study are too good. Use split.method: grouped with patient and lesion in split.group_by, list"
    " duplicates in split.duplicates, search near-duplicates, and keep labels out of the features. Look at each pair of"
    " near-duplicates, and list pairs of different photographs in split.near_duplicates.different. To continue with the"
    " leaks, set split.allow_leaks: true; then the report says so"
)
SIZES = ("width", "height")
FEATURES = ["sex", "age", "site", *SIZES]
IDENTIFIERS = ["row", "image", "patient", "unit", "lesion", "source", "part", "fold"]
LABELS = {"target", "label", "class", "diagnosis", "malignant", "melanoma", "benign_malignant"}
PAIRS = {"duplicate pair": "pairs", "near-duplicate pair": "near"}  # the kinds of pairs, and their tables
CHANCE = 1e-6  # a column is flagged if random labels would fit it as well with a smaller probability than this


class Finding(TypedDict):
    """A leak: `count` patients, lesions, files, pairs, rows or images cross `boundary`; `images` names all of them.

    `pairs` names each pair of near-duplicates or duplicates, with its parts and its figures.
    """

    kind: str
    boundary: str
    count: int
    images: list[str]
    pairs: NotRequired[list[str]]


class Report(TypedDict):
    """The findings, and what was checked: the counts of each part (see `_counts`) and the numbers of pairs.

    `unit` is what the split keeps together and the counts are of (see `units.unit`), `notices` are doubts that are no
    leaks.
    """

    findings: list[Finding]
    checked: dict[str, dict[str, int] | int]
    unit: str
    notices: list[str]


class Tables(NamedTuple):
    """The tables of a split.

    `train`: row, image, patient, lesion, sex, age, site, target, fold (-1: trains in every fold). `test`: the same
    columns without target and fold. `files`: image, sha256. `pairs` and `near`: first, second; `near` may have
    correlation and chance_pairs. `folds`: their number. `external`: the images of external tests, as those of `test`.
    """

    train: pd.DataFrame
    test: pd.DataFrame
    files: pd.DataFrame
    pairs: pd.DataFrame
    near: pd.DataFrame
    folds: int
    external: pd.DataFrame | None = None


def check(tables: Tables) -> Report:
    """Search every leak that the tables can show without the labels of the test."""
    train, test = tables.train, tables.test
    part = ("fold " + train["fold"].astype(str)).where(train["fold"] >= 0, "extra_train")
    rows = pd.concat([train.assign(part=part), test.assign(part="test")])
    rows["side"] = (rows["part"] == "test").map({True: "test", False: "train"})
    placed = _placed(rows, tables)
    external, notices = _external(rows, tables)
    findings = [
        *_crossings(placed, "side", "train/test", tables),
        *_crossings(placed[placed["side"] == "train"], "part", "folds", tables),
        *external,
        *_repeats(rows, "image"),
        *_repeats(rows, "row"),
        *(finding for fold in range(tables.folds) for finding in _missing_classes(rows, f"fold {fold}")),
        *_label_columns(test, "features of test"),
        *check_columns(train[["image", *FEATURES]], train["target"], "train"),
    ]
    return {
        "findings": findings,
        "checked": _counts(rows, tables),
        "unit": unit(rows),
        "notices": [*filter(None, [patients_notice(rows)]), *missing_inputs(train, test), *notices],
    }


def _external(rows: pd.DataFrame, tables: Tables) -> tuple[list[Finding], list[str]]:
    """Return the leaks from train to external tests, and a notice if the internal test overlaps with them."""
    if tables.external is None:
        return [], []
    part = "external test " + tables.external["source"]
    placed = _placed(pd.concat([rows, tables.external.assign(part=part, side="external test")]), tables)
    leaks = _crossings(placed[placed["side"] != "test"], "side", "train/external test", tables)
    overlaps = _crossings(placed[placed["side"] != "train"], "side", "test/external test", tables)
    common = {image for overlap in overlaps for image in overlap["images"]} & set(tables.test["image"])
    notice = (
        f"{len(common):,} of {len(tables.test):,} internal test images share a patient, a lesion or a photograph with"
        " an external test. The two tests are not independent, so the interval of the drop between them is approximate."
    )
    return list(leaks), [notice] if common else []


def missing_inputs(train: pd.DataFrame, test: pd.DataFrame) -> Iterator[str]:
    """Yield a doubt for each input that is missing in the whole test, and not in the whole of train."""
    for name in FEATURES:
        known = [table[name].notna() & (table[name] != 0 if name in SIZES else True) for table in (train, test)]
        if len(test) and known[0].any() and not known[1].any():
            yield (
                f"The input {name} is missing for {len(test):,} of {len(test):,} test images, and known for"
                f" {known[0].mean():.0%} of the training images. A model that reads it was not trained for such images,"
                " so its test results may be worse than its out-of-fold results."
            )


def check_test(
    test: pd.DataFrame, labels: pd.DataFrame, unit_name: str = "patient"
) -> tuple[list[Finding], dict[str, int]]:
    """Search leaks that only the labels of the test (image, target) show: in its features, or a missing class.

    Returns the findings, and the numbers of images, melanomas, and units with and without a melanoma (see `_counts`).
    """
    target = test["image"].map(labels.drop_duplicates("image").set_index("image")["target"]).rename("target")
    rows = test.assign(target=target, part="test")
    findings = [*_separating_columns(test, target, "features of test"), *_missing_classes(rows, "test")]
    return findings, _count(rows, unit_name)


def require_no_leaks(findings: list[Finding]) -> None:
    """Raise InputError with all findings and their images, if there are any."""
    lines = []
    for finding in findings:
        pairs, images = finding.get("pairs", []), finding["images"]
        named, separator, word = (pairs, "; ", "") if pairs else (images, ", ", "images ")
        more = f" and {len(named) - 10} more" if len(named) > 10 else ""
        start = f"{finding['kind']}: {finding['count']} across {finding['boundary']}: {word}"
        lines.append(start + separator.join(named[:10]) + more)
    if lines:
        raise InputError(f"leakage:\n{listing(lines, limit=len(lines))}\n{REMEDY}")


def check_columns(table: pd.DataFrame, target: pd.Series, name: str) -> list[Finding]:
    """Flag each column of `table` that has the name of a label, or whose values separate the classes without error.

    Identifiers separate the classes, too, and in a small table another column may do so by chance. So a column is
    flagged only if a random permutation of the labels would fit it as well with a probability below CHANCE.
    """
    where = f"features of {name}"
    return [*_label_columns(table, where), *_separating_columns(table, target, where)]


def check_predictions(
    predictions: pd.DataFrame, train: pd.DataFrame, test: pd.DataFrame, labels: pd.DataFrame, name: str
) -> list[Finding]:
    """Search labels in a table of predictions, and images that were predicted by a model that trained on them."""
    target = predictions["image"].map(pd.concat([train, labels]).drop_duplicates("image").set_index("image")["target"])
    inputs = predictions.drop(columns=["logit", "probability", "patient_distance"], errors="ignore")
    if "target" in inputs and inputs.loc[inputs["part"] == "test", "target"].isna().all():
        inputs = inputs.drop(columns="target")  # the labels of train are there for fusions
    findings = check_columns(inputs, target, f"{name}'s predictions")
    out_of_fold = predictions[predictions["part"] == "train"]
    fold = out_of_fold["image"].map(train.drop_duplicates("image").set_index("image")["fold"])
    is_test = out_of_fold["image"].isin(test["image"])
    kinds = {
        "test row among validation rows": out_of_fold[is_test],
        "prediction by a model that trained on the image": out_of_fold[~is_test & (fold != out_of_fold["fold"])],
    }
    return findings + [_finding(kind, name, len(rows), rows["image"]) for kind, rows in kinds.items() if len(rows)]


def check_encoder(
    encoder: Mapping[str, object],
    train: pd.DataFrame,
    others: dict[str, pd.DataFrame],
    name: str,
    fit: Callable[[pd.DataFrame], Mapping[str, object]] = lambda rows: MetadataEncoder.fit(rows).to_dict(),
) -> list[Finding]:
    """Compare an encoder with one that `fit` learns from `train`, the training rows of its model.

    If they differ, the finding has the images of the first of `others` (validation, test, or both) that explains the
    encoder together with `train`, or of all `others` if none does.
    """
    if _equal(encoder, fit(train)):
        return []
    for rows in others.values():
        if _equal(encoder, fit(pd.concat([train, rows]))):
            return [_finding("encoder fitted on more than train", name, len(rows), rows["image"])]
    images = pd.concat([rows["image"] for rows in others.values()])
    return [_finding("encoder not fitted on train", name, images.nunique(), images)]


def check_epoch(order: NDArray[np.integer], train: pd.DataFrame, held_out: pd.DataFrame, name: str) -> list[Finding]:
    """Search held-out images in an epoch; `order` has the positions in `train` that it shows.

    A copy by over-sampling may have another name, but it has the store row of its image.
    """
    rows = train.iloc[np.unique(order)]
    leaked = rows[rows["image"].isin(held_out["image"]) | rows["row"].isin(held_out["row"])]
    return [_finding("over-sampled copy", name, len(leaked), leaked["image"])] if len(leaked) else []


def _placed(rows: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """Return image, part and side of every member of a patient, lesion, file, store row or pair (kind and value)."""
    values = {kind: rows[kind] for kind in ("image", "patient", "lesion")} | {"store row": rows["row"].astype("str")}
    if "unit" in rows:  # what stands in for a patient is among the lesions and images
        values["patient"] = rows["patient"].where(rows["unit"] == "patient")
    members = [_members(rows["image"], kind, value) for kind, value in values.items()]
    members.append(_members(tables.files["image"], "identical file", tables.files["sha256"]))
    for kind, pairs in ((kind, getattr(tables, name)) for kind, name in PAIRS.items()):
        both = pd.concat([pairs["first"] + " " + pairs["second"]] * 2, ignore_index=True)
        members.append(_members(pd.concat([pairs["first"], pairs["second"]], ignore_index=True), kind, both))
    members = pd.concat(members, ignore_index=True).dropna(subset="value")
    return members.drop_duplicates().merge(rows[["image", "part", "side"]].drop_duplicates(), on="image")


def _members(images: pd.Series, kind: str, values: pd.Series) -> pd.DataFrame:
    shared = values.duplicated(keep=False).to_numpy()  # a value of a single row cannot cross a boundary
    return pd.DataFrame({"image": images[shared], "kind": kind, "value": values[shared]})


def _crossings(placed: pd.DataFrame, side: str, boundary: str, tables: Tables) -> Iterator[Finding]:
    sides = placed.groupby(["kind", "value"])[side].transform("nunique")
    for kind, rows in placed[sides > 1].groupby("kind"):
        finding = _finding(kind, boundary, rows["value"].nunique(), rows["image"])
        if kind in PAIRS:
            pairs = getattr(tables, PAIRS[kind])
            crossing = pairs[(pairs["first"] + " " + pairs["second"]).isin(rows["value"])].drop_duplicates()
            finding["pairs"] = _named_pairs(crossing, rows.drop_duplicates("image").set_index("image")["part"])
        yield finding


def _named_pairs(pairs: pd.DataFrame, part: pd.Series) -> list[str]:
    return [
        f"{pair.first} ({part[pair.first]}) and {pair.second} ({part[pair.second]}){figures(pair)}"
        for pair in pairs.itertuples()
    ]


def figures(pair: object) -> str:
    """Say in words how alike a pair of near-duplicates is; empty for a pair that was not compared."""
    correlation, by_chance = (getattr(pair, name, math.nan) for name in ("correlation", "chance_pairs"))
    if math.isnan(correlation):
        return ""
    return f", correlation {correlation:.2f} ({by_chance:.2g} such pairs expected by chance)"


def _repeats(rows: pd.DataFrame, column: str) -> list[Finding]:
    """Find repeated rows: copies from before the split that are on one side still count twice there."""
    repeated = rows[rows[column].duplicated(keep=False)]
    kind = {"image": "image", "row": "store row"}[column]
    return [_finding(kind, "several rows", repeated[column].nunique(), repeated["image"])] if len(repeated) else []


def _missing_classes(rows: pd.DataFrame, part: str) -> Iterator[Finding]:
    members = rows[rows["part"] == part]
    for target, word in ((1, "melanoma"), (0, "benign image")):
        if not (members["target"] == target).any():
            yield _finding(f"no {word}", part, 1, members["image"])


def _label_columns(table: pd.DataFrame, where: str) -> list[Finding]:
    named = [column for column in table.columns.difference(IDENTIFIERS) if _is_label_name(column)]
    return [_finding(f"label column {column}", where, 1, table["image"]) for column in named]


def _separating_columns(table: pd.DataFrame, target: pd.Series, where: str) -> list[Finding]:
    others = [column for column in table.columns.difference(IDENTIFIERS) if not _is_label_name(column)]
    separating = [column for column in others if _separates(table[column], target)]
    return [_finding(f"column {column} that tells the label", where, 1, table["image"]) for column in separating]


def _is_label_name(column: str) -> bool:
    name = column.lower()
    return name in LABELS or name.startswith(("diagnosis", "target"))


def _separates(values: pd.Series, target: pd.Series) -> bool:
    """Tell whether values separate the classes, each value one class or by a threshold, beyond chance.

    Of the C(n, m) ways to label m of n images, at most 2^levels give each level one class, and 2 follow a threshold.
    """
    table = pd.DataFrame({"value": values.to_numpy(), "target": target.to_numpy()}).dropna(subset="target")
    melanomas = int(table["target"].sum())
    if not 0 < melanomas < len(table):
        return False
    chance = -_log_choices(len(table), melanomas)
    codes, levels = pd.factorize(table["value"], use_na_sentinel=False)
    one_class_each = pd.Series(table["target"].to_numpy()).groupby(codes).nunique().max() == 1
    if one_class_each and chance + len(levels) * math.log(2) < math.log(CHANCE):
        return True
    if not pd.api.types.is_numeric_dtype(table["value"]):
        return False
    by_class = [table.loc[table["target"] == each, "value"].dropna() for each in (0, 1)]
    if min(map(len, by_class)) == 0:
        return False
    apart = by_class[0].max() < by_class[1].min() or by_class[1].max() < by_class[0].min()
    known = sum(map(len, by_class))
    return bool(apart) and math.log(2) - _log_choices(known, len(by_class[1])) < math.log(CHANCE)


def _log_choices(total: int, chosen: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)


def _equal(one: object, other: object) -> bool:
    """Compare nested values; floats may differ by rounding."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return one == other


def _finding(kind: str, boundary: str, count: int, images: pd.Series) -> Finding:
    return Finding(kind=kind, boundary=boundary, count=int(count), images=sorted(set(images)))


def _counts(rows: pd.DataFrame, tables: Tables) -> dict[str, dict[str, int] | int]:
    """Count each part (see `_count`), the pairs, and the groups of near-duplicates."""
    name = unit(rows)
    counts: dict[str, dict[str, int] | int] = {part: _count(each, name) for part, each in rows.groupby("part")}
    return (
        counts
        | {"duplicate_pairs": len(tables.pairs), "near_duplicate_pairs": len(tables.near)}
        | _near_groups(tables.near)
    )


def _near_groups(near: pd.DataFrame) -> dict[str, dict[str, int] | int]:
    """Count the groups that near-duplicates link, and the images of the largest one."""
    images = pd.concat([near["first"], near["second"]]).drop_duplicates().to_frame("image")
    sizes = np.bincount(group_images(images, [], near)) if len(images) else np.zeros(0, np.int64)
    return {"near_duplicate_groups": len(sizes), "largest_near_duplicate_group": int(sizes.max(initial=0))}


def _count(rows: pd.DataFrame, unit_name: str) -> dict[str, int]:
    """Count images and units and, where the targets are known, melanomas and units with a melanoma, by their names."""
    plural, known = f"{unit_name}s", bool(rows["target"].notna().all())
    count = {"images": len(rows)} | ({"melanomas": int(rows["target"].sum())} if known else {})
    if unit_name == "image":
        return count
    ill = {f"melanoma_{plural}": int(rows.groupby("patient")["target"].max().sum())} if known else {}
    return count | {plural: rows["patient"].nunique()} | ill
