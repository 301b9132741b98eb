"""Simulated studies after their split, without leaks; tests plant leaks in them."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from melanoma.config.split import Split
from melanoma.split.assign import TEST_COLUMNS, TRAIN_COLUMNS, split_images

SETTINGS = Split(test_fraction=0.25, folds=3)
# The positions in the list of `members`.
TEST, OTHER_TEST, FOLD_0, OTHER_FOLD_0, FOLD_1, EXTRA = range(6)


class Study(NamedTuple):
    """The tables of the check, and the labels of the test, which only the audit reads."""

    train: pd.DataFrame
    test: pd.DataFrame
    labels: pd.DataFrame
    files: pd.DataFrame
    pairs: pd.DataFrame
    near: pd.DataFrame
    folds: int


def study(patients: int = 160, seed: int = 0) -> Study:
    """Split a simulated study with a few duplicates, near-duplicates and identical files."""
    images = catalog(patients, seed)
    pairs, near, same = (pairs_of(images, 3, seed + each) for each in (1, 2, 3))
    split = split_images(images, pd.concat([pairs, near, same]), SETTINGS).images
    is_test = split["part"] == "test"
    digest = images["image"].replace(dict(same.itertuples(index=False, name=None)))
    return Study(
        train=split.loc[~is_test, TRAIN_COLUMNS].reset_index(drop=True),
        test=split.loc[is_test, TEST_COLUMNS].reset_index(drop=True),
        labels=split.loc[is_test, ["image", "target"]].reset_index(drop=True),
        files=pd.DataFrame({"image": images["image"], "sha256": digest}),
        pairs=pairs,
        near=near,
        folds=SETTINGS.folds,
    )


def catalog(patients: int, seed: int) -> pd.DataFrame:
    """Simulate a study: several images of a patient or a lesion, missing values, every sixth patient extra_train."""
    random = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), np.minimum(random.geometric(0.3, patients), 20))
    count = len(patient)
    target = (random.random(count) < random.uniform(0.1, 0.4)).astype(np.int8)
    lesion = np.where(random.random(count) < 0.5, patient * 100 + random.integers(0, 3, count), -1)
    choose = lambda values: pd.Series(random.choice(values, count), dtype="str")  # noqa: E731
    return pd.DataFrame(
        {
            "row": np.arange(count),
            "image": pd.Series([f"ISIC_{k:05d}" for k in range(count)], dtype="str"),
            "patient": pd.Series([f"IP_{k}" for k in patient], dtype="str"),
            "unit": "patient",
            "lesion": pd.Series([f"IL_{k}" if k >= 0 else None for k in lesion], dtype="str"),
            "sex": choose(["male", "female", None]),
            "age": np.where(random.random(count) < 0.1, np.nan, random.integers(4, 18, count) * 5.0),
            "site": choose(["torso", "head/neck", "palms/soles", None]),
            "diagnosis": pd.Series(np.where(target, "melanoma", "nevus"), dtype="str"),
            "source": "simulated",
            "target": target,
            "width": random.choice([640, 6000], count),
            "height": 480,
            "role": pd.Series(np.where(patient % 6 == 5, "extra_train", "study"), dtype="str"),
        }
    )


def pairs_of(images: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    chosen = np.random.default_rng(seed).choice(images["image"], (count, 2))
    return pd.DataFrame(chosen, columns=["first", "second"], dtype="str")


def members(tables: Study) -> list[str]:
    """Name two images of test, two of fold 0, one of fold 1 and one of extra_train, all of patients with one image."""
    alone = lambda table: table[~table["patient"].duplicated(keep=False) & table["lesion"].isna()]  # noqa: E731
    train, linked = alone(tables.train), pd.concat([tables.pairs, tables.near]).stack().tolist()
    shared = tables.files.loc[tables.files["sha256"].duplicated(keep=False), "image"].tolist()
    chosen = []
    for table, count in (
        (alone(tables.test), 2),
        *((train[train["fold"] == k], n) for k, n in ((0, 2), (1, 1), (-1, 1))),
    ):
        names = table.loc[~table["image"].isin([*linked, *shared]), "image"]
        chosen += names.iloc[:count].tolist()
    return chosen
