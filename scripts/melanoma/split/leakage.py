"""The leakage gate: looks at the tables that train and predict read, not at how they were made.

`check` knows no label of the test; what needs them is `check_test`, which runs once all models have predicted.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.common.errors import InputError, listing
from melanoma.data.metadata_encoder import MetadataEncoder

REMEDY = (
    "A score from such a study is too good to be true. Split by split.method grouped with patient and lesion in"
    " split.group_by, near-duplicates and split.duplicates, and keep labels out of features; or set"
    " split.allow_leaks: true to go on all the same, which the report will say"
)
FEATURES = ["sex", "age", "site", "width", "height"]
IDENTIFIERS = ["row", "image", "patient", "lesion", "source", "part", "fold"]
LABELS = {"target", "label", "class", "diagnosis", "malignant", "melanoma", "benign_malignant"}
CHANCE = 1e-6  # a column is accused of holding the label where chance would do the same with less than this probability


class Tables(NamedTuple):
    """What the gate looks at.

    `train`: row, image, patient, lesion, sex, age, site, target, fold (-1: trains in every fold). `test`: as train
    without target and fold. `files`: image, sha256. `pairs` and `near`: first, second. `folds`: how many there should
    be.
    """

    train: pd.DataFrame
    test: pd.DataFrame
    files: pd.DataFrame
    pairs: pd.DataFrame
    near: pd.DataFrame
    folds: int


def check(tables: Tables) -> dict[str, Any]:
    """Look for every leak that the tables alone can show.

    Returns {"findings": [{kind, boundary, count, images}], "checked": {part: counts}}, where `count` is the number of
    patients, lesions, files, pairs, rows or images found, and `images` names all images concerned.
    """
    train, test = tables.train, tables.test
    part = ("fold " + train["fold"].astype(str)).where(train["fold"] >= 0, "extra_train")
    rows = pd.concat([train.assign(part=part), test.assign(part="test")])
    rows["side"] = (rows["part"] == "test").map({True: "test", False: "train"})
    placed = _placed(rows, tables)
    findings = [
        *_crossings(placed, "side", "train/test"),
        *_crossings(placed[placed["side"] == "train"], "part", "folds"),
        *_repeats(rows, "image"),
        *_repeats(rows, "row"),
        *(finding for fold in range(tables.folds) for finding in _missing_classes(rows, f"fold {fold}")),
        *_label_columns(test, "features of test"),
        *check_columns(train[["image", *FEATURES]], train["target"], "train"),
    ]
    return {"findings": findings, "checked": _counts(rows, tables)}


def check_test(test: pd.DataFrame, labels: pd.DataFrame) -> dict[str, Any]:
    """Look for leaks that only the labels of the test (image, target) show: in its features, or a class that it lacks.

    Returns findings as `check` does, and counts of the test: images, melanomas, patients, and patients with a melanoma.
    """
    target = test["image"].map(labels.drop_duplicates("image").set_index("image")["target"]).rename("target")
    rows = test[["image", "patient"]].assign(target=target, part="test")
    patients = rows.groupby("patient")["target"].max()
    return {
        "findings": [*_telling_columns(test, target, "features of test"), *_missing_classes(rows, "test")],
        "checked": {
            "images": len(rows),
            "melanomas": int(rows["target"].sum()),
            "patients": len(patients),
            "melanoma_patients": int(patients.sum()),
        },
    }


def require_no_leaks(findings: list[dict[str, Any]]) -> None:
    """Raise InputError that names the images of every finding."""
    lines = []
    for finding in findings:
        images, more = finding["images"][:10], len(finding["images"]) - 10
        lines.append(
            f"{finding['kind']}: {finding['count']} across {finding['boundary']}: images {', '.join(images)}"
            + (f" and {more} more" if more > 0 else "")
        )
    if lines:
        raise InputError(f"leakage:\n{listing(lines, limit=len(lines))}\n{REMEDY}")


def check_columns(table: pd.DataFrame, target: pd.Series, name: str) -> list[dict[str, Any]]:
    """Accuse each column of `table` that is the label by its name, or whose values tell the label without exception.

    A column of identifiers tells every image's label too, and one of few rows may do so by chance: what counts is that
    among all ways to distribute as many melanomas, those that fit the column's values as well are less than CHANCE.
    """
    where = f"features of {name}"
    return [*_label_columns(table, where), *_telling_columns(table, target, where)]


def check_predictions(
    predictions: pd.DataFrame, train: pd.DataFrame, test: pd.DataFrame, labels: pd.DataFrame, name: str
) -> list[dict[str, Any]]:
    """Look for labels beside the predictions of a model, and for images predicted by a model that trained on them."""
    target = predictions["image"].map(pd.concat([train, labels]).drop_duplicates("image").set_index("image")["target"])
    inputs = predictions.drop(columns=["logit", "probability", "patient_distance"], errors="ignore")
    if "target" in inputs and inputs.loc[inputs["part"] == "test", "target"].isna().all():
        inputs = inputs.drop(columns="target")  # labels of train are there for others to fit to
    found = check_columns(inputs, target, f"{name}'s predictions")
    out_of_fold = predictions[predictions["part"] == "train"]
    fold = out_of_fold["image"].map(train.drop_duplicates("image").set_index("image")["fold"])
    is_test = out_of_fold["image"].isin(test["image"])
    kinds = {
        "test row among validation rows": out_of_fold[is_test],
        "prediction by a model that trained on the image": out_of_fold[~is_test & (fold != out_of_fold["fold"])],
    }
    return found + [_finding(kind, name, len(rows), rows["image"]) for kind, rows in kinds.items() if len(rows)]


def check_encoder(
    encoder: dict[str, Any],
    train: pd.DataFrame,
    others: dict[str, pd.DataFrame],
    name: str,
    fit: Callable[[pd.DataFrame], dict[str, Any]] = lambda rows: MetadataEncoder.fit(rows).to_dict(),
) -> list[dict[str, Any]]:
    """Compare what an encoder learned with what `fit` learns from `train`, the rows that its model trained on, alone.

    Where they differ, the finding names the rows of the first of `others` (say validation, test, and both) that fit it
    together with `train`, or else of all of them.
    """
    if _same_encoder(encoder, fit(train)):
        return []
    for rows in others.values():
        if _same_encoder(encoder, fit(pd.concat([train, rows]))):
            return [_finding("encoder fitted on more than train", name, len(rows), rows["image"])]
    images = pd.concat([rows["image"] for rows in others.values()])
    return [_finding("encoder not fitted on train", name, images.nunique(), images)]


def check_epoch(
    order: NDArray[np.integer], train: pd.DataFrame, held_out: pd.DataFrame, name: str
) -> list[dict[str, Any]]:
    """Look among the images that an epoch shows, `order` being positions in `train`, for ones that are held out.

    A copy made by over-sampling has its image's store row, whatever its name.
    """
    shown = train.iloc[np.unique(order)]
    leaked = shown[shown["image"].isin(held_out["image"]) | shown["row"].isin(held_out["row"])]
    return [_finding("over-sampled copy", name, len(leaked), leaked["image"])] if len(leaked) else []


def _placed(rows: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """Return image, part and side of every member of a patient, lesion, file, store row or pair: kind and value."""
    values = {kind: rows[kind] for kind in ("image", "patient", "lesion")} | {"store row": rows["row"].astype("str")}
    members = [_members(rows["image"], kind, value) for kind, value in values.items()]
    members.append(_members(tables.files["image"], "identical file", tables.files["sha256"]))
    for kind, pairs in (("duplicate pair", tables.pairs), ("near-duplicate pair", tables.near)):
        both = pd.concat([pairs["first"] + " " + pairs["second"]] * 2, ignore_index=True)
        members.append(_members(pd.concat([pairs["first"], pairs["second"]], ignore_index=True), kind, both))
    members = pd.concat(members, ignore_index=True).dropna(subset="value")
    return members.drop_duplicates().merge(rows[["image", "part", "side"]].drop_duplicates(), on="image")


def _members(images: pd.Series, kind: str, values: pd.Series) -> pd.DataFrame:
    shared = values.duplicated(keep=False).to_numpy()  # what one row alone has can cross no boundary
    return pd.DataFrame({"image": images[shared], "kind": kind, "value": values[shared]})


def _crossings(placed: pd.DataFrame, side: str, boundary: str) -> Iterator[dict[str, Any]]:
    sides = placed.groupby(["kind", "value"])[side].transform("nunique")
    for kind, rows in placed[sides > 1].groupby("kind"):
        yield _finding(kind, boundary, rows["value"].nunique(), rows["image"])


def _repeats(rows: pd.DataFrame, column: str) -> list[dict[str, Any]]:
    """Find what is there twice: copies made before the split stay on one side at best, and weigh double there."""
    repeated = rows[rows[column].duplicated(keep=False)]
    kind = {"image": "image", "row": "store row"}[column]
    return [_finding(kind, "several rows", repeated[column].nunique(), repeated["image"])] if len(repeated) else []


def _missing_classes(rows: pd.DataFrame, part: str) -> Iterator[dict[str, Any]]:
    own = rows[rows["part"] == part]
    for target, word in ((1, "melanoma"), (0, "benign image")):
        if not (own["target"] == target).any():
            yield _finding(f"no {word}", part, 1, own["image"])


def _label_columns(table: pd.DataFrame, where: str) -> list[dict[str, Any]]:
    named = [column for column in table.columns.difference(IDENTIFIERS) if _is_label_name(column)]
    return [_finding(f"label column {column}", where, 1, table["image"]) for column in named]


def _telling_columns(table: pd.DataFrame, target: pd.Series, where: str) -> list[dict[str, Any]]:
    others = [column for column in table.columns.difference(IDENTIFIERS) if not _is_label_name(column)]
    telling = [column for column in others if _tells(table[column], target)]
    return [_finding(f"column {column} that tells the label", where, 1, table["image"]) for column in telling]


def _is_label_name(column: str) -> bool:
    name = column.lower()
    return name in LABELS or name.startswith(("diagnosis", "target"))


def _tells(values: pd.Series, target: pd.Series) -> bool:
    table = pd.DataFrame({"value": values.to_numpy(), "target": target.to_numpy()}).dropna(subset="target")
    melanomas = int(table["target"].sum())
    if not 0 < melanomas < len(table):
        return False
    chance = -_log_choices(len(table), melanomas)
    codes, levels = pd.factorize(table["value"], use_na_sentinel=False)
    pure = pd.Series(table["target"].to_numpy()).groupby(codes).nunique().max() == 1
    if pure and chance + len(levels) * math.log(2) < math.log(CHANCE):
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


def _same_encoder(encoder: dict[str, Any], fitted: dict[str, Any]) -> bool:
    return encoder.keys() == fitted.keys() and all(
        math.isclose(encoder[key], value, rel_tol=1e-9, abs_tol=1e-12)
        if isinstance(value, float)
        else list(encoder[key]) == value
        for key, value in fitted.items()
    )


def _finding(kind: str, boundary: str, count: int, images: pd.Series) -> dict[str, Any]:
    return {"kind": kind, "boundary": boundary, "count": int(count), "images": sorted(set(images))}


def _counts(rows: pd.DataFrame, tables: Tables) -> dict[str, Any]:
    """Count images, patients and, but for the test, melanomas and patients with one of each part."""
    counts: dict[str, Any] = {}
    for part, own in rows.groupby("part"):
        counts[part] = {"images": len(own), "patients": own["patient"].nunique()}
        if part != "test":
            ill = int(own.groupby("patient")["target"].max().sum())
            counts[part] |= {"melanomas": int(own["target"].sum()), "melanoma_patients": ill}
    return counts | {"duplicate_pairs": len(tables.pairs), "near_duplicate_pairs": len(tables.near)}
