"""External sources: what the study trains on is kept away from the patients and photographs of external tests."""

import pandas as pd

from melanoma.common.cli import log
from melanoma.common.errors import listing
from melanoma.config.data import EXTERNAL_ROLES
from melanoma.split.assign import Split, group_images

APART = ("cleared", "doubted, kept apart")  # the verdicts of pairs that link nothing
KEYS = ("patient", "lesion", "sha256")


def study_images(images: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a catalog that a study trains on or tests: those of no external source."""
    return images[~images["role"].isin(EXTERNAL_ROLES)].reset_index(drop=True)


def external_images(images: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a catalog that are of external sources, of role test or predict."""
    return images[images["role"].isin(EXTERNAL_ROLES)].reset_index(drop=True)


def keep_away(
    split: Split, external: pd.DataFrame, near: pd.DataFrame, duplicates: pd.DataFrame, files: pd.DataFrame
) -> Split:
    """Return `split` without the training images that are linked to an image of an external test.

    Two images are linked if they share patient, lesion or file, or are a listed duplicate or a near-duplicate, also a
    doubted one. A training image is left out if such links lead from it to an external test, over other images, too.
    The internal test stays as it is, because nothing is trained on it. `external` has the rows of external sources,
    `near` (see `settle_doubts`) and `duplicates` have first and second; `files` has image and sha256.
    """
    tests = external[external["role"] == "test"]
    if tests.empty:
        return split
    is_train = (split.images["part"] == "train").to_numpy()
    together = pd.concat([split.images, tests], ignore_index=True)
    together["sha256"] = together["image"].map(files.set_index("image")["sha256"])
    pairs = near.loc[~near["verdict"].isin(APART), ["first", "second"]]
    pairs = pd.concat([duplicates[["first", "second"]], pairs], ignore_index=True)
    group = group_images(together, KEYS, pairs)
    source_of_group = pd.Series(tests["source"].to_numpy(), index=group[len(split.images) :])
    source_of_group = source_of_group[~source_of_group.index.duplicated()]
    source = pd.Series(group[: len(split.images)]).map(source_of_group)
    away = is_train & source.notna().to_numpy()
    kinds = _kinds(together[: len(split.images)], together[len(split.images) :], pairs)
    reasons = kinds[away] + " the external test " + source[away]
    names = split.images.loc[away, "image"]
    for reason, images in names.groupby(reasons.to_numpy()):
        log.info("left out of training, %s:\n%s", reason, listing(images, limit=len(images)))
    added = pd.DataFrame({"image": names, "reason": reasons}, dtype="str")
    left_out = pd.concat([split.left_out, added], ignore_index=True)
    return Split(split.images[~away].reset_index(drop=True), left_out)


def _kinds(images: pd.DataFrame, tests: pd.DataFrame, pairs: pd.DataFrame) -> pd.Series:
    """Return for each image what it shares with an external test, in words."""
    kind = pd.Series("linked over other images to", index=images.index)
    paired = {*pairs.loc[pairs["second"].isin(tests["image"]), "first"]}
    paired |= {*pairs.loc[pairs["first"].isin(tests["image"]), "second"]}
    kind = kind.mask(images["image"].isin(paired), "near-duplicate or listed duplicate in")
    for key, name in (("sha256", "file"), ("lesion", "lesion"), ("patient", "patient")):
        kind = kind.mask(images[key].isin(tests[key].dropna()), f"{name} of")
    return kind
