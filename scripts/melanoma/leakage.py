"""The leakage gate: looks at the tables that train and predict read, not at how they were made."""

from typing import Any

import pandas as pd

from melanoma.errors import InputError, listing

REMEDY = (
    "A score from such a split is too good to be true. Put patient and lesion into split.group_by and give"
    " split.duplicates; or set split.allow_leaks: true to go on all the same, which the report will say"
)


def check(train: pd.DataFrame, test: pd.DataFrame, labels: pd.DataFrame, pairs: pd.DataFrame) -> dict[str, Any]:
    """Look for patients, lesions and listed duplicates on two sides of a boundary, and for repeated images.

    `train`: image, patient, lesion, target, fold. `test`: image, patient, lesion. `labels`: image, target of
    test. `pairs`: first, second. Returns {"findings": [{kind, boundary, count, images}], "checked": {part:
    counts}} where `count` is the number of patients, lesions, pairs or images found, and `images` names all
    images concerned.
    """
    rows = pd.concat([train.assign(part="fold " + train["fold"].astype(str)), test.assign(part="test")])
    rows["side"] = (rows["part"] == "test").map({True: "test", False: "train"})
    both = pairs["first"] + " " + pairs["second"]
    members = pd.concat(
        [
            *(_members(rows["image"], kind, rows[kind]) for kind in ("image", "patient", "lesion")),
            *(_members(pairs[end], "duplicate pair", both) for end in pairs),
        ]
    ).dropna(subset="value")
    placed = members.drop_duplicates().merge(rows[["image", "part", "side"]], on="image")
    findings = [
        *_crossings(placed, "side", "train/test"),
        *_crossings(placed[placed["side"] == "train"], "part", "folds"),
        *_repeats(rows),
    ]
    return {"findings": findings, "checked": _counts(rows, labels) | {"duplicate_pairs": len(pairs)}}


def require_no_leaks(report: dict[str, Any]) -> None:
    """Raise InputError that names the images of every finding of `check`."""
    lines = []
    for finding in report["findings"]:
        images, more = finding["images"][:10], len(finding["images"]) - 10
        lines.append(
            f"{finding['kind']}: {finding['count']} across {finding['boundary']}: images {', '.join(images)}"
            + (f" and {more} more" if more > 0 else "")
        )
    if lines:
        raise InputError(f"leakage:\n{listing(lines)}\n{REMEDY}")


def _members(images: pd.Series, kind: str, values: pd.Series) -> pd.DataFrame:
    return pd.DataFrame({"image": images, "kind": kind, "value": values})


def _crossings(placed: pd.DataFrame, side: str, boundary: str) -> list[dict[str, Any]]:
    sides = placed.groupby(["kind", "value"])[side].transform("nunique")
    return [
        _finding(kind, boundary, rows["value"].nunique(), rows["image"])
        for kind, rows in placed[sides > 1].groupby("kind")
    ]


def _repeats(rows: pd.DataFrame) -> list[dict[str, Any]]:
    repeated = rows.loc[rows["image"].duplicated(), "image"]
    return [_finding("image", "several rows", repeated.nunique(), repeated)] if len(repeated) else []


def _finding(kind: str, boundary: str, count: int, images: pd.Series) -> dict[str, Any]:
    return {"kind": kind, "boundary": boundary, "count": int(count), "images": sorted(set(images))}


def _counts(rows: pd.DataFrame, labels: pd.DataFrame) -> dict[str, Any]:
    target = rows["target"].fillna(rows["image"].map(labels.set_index("image")["target"]))
    table = (
        rows.assign(target=target)
        .groupby("part")
        .agg(images=("image", "size"), melanomas=("target", "sum"), patients=("patient", "nunique"))
    )
    return table.astype(int).to_dict("index")
