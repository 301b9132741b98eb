"""Splits that a file gives: a column of a table, or the saved split of another study."""

from pathlib import Path

import numpy as np
import pandas as pd

from melanoma.common.errors import InputError, listing
from melanoma.config.split import Split as SplitSettings
from melanoma.tables.identifiers import image_names, plain, plain_texts
from melanoma.tables.tables import read_frame, row_name

TEST, LEFT_OUT = -1, -2
# Why an image of the study is in neither test nor a fold, by the method of the split.
UNPLACED = {"predefined": "in neither test nor a fold of split.predefined", "saved": "not in split.file"}
SAVED_COLUMNS = ["image", "part", "fold"]


def predefined(_: pd.DataFrame, study: pd.DataFrame, settings: SplitSettings) -> pd.Series:
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


def saved(_: pd.DataFrame, study: pd.DataFrame, settings: SplitSettings) -> pd.Series:
    """Read test and folds from the saved split of another study. Its images that this study lacks are ignored."""
    places = read_saved(Path(settings.file or ""))
    folds = int(places["fold"].max()) + 1
    if folds != settings.folds:
        raise InputError(f"{settings.file}: has {folds} folds, and split.folds is {settings.folds}. Make them equal")
    # An image that trains in every fold there (extra_train) has no place here.
    places = places[(places["part"] == "test") | (places["fold"] >= 0)]
    fold = study["image"].map(places.set_index("image")["fold"])
    unlisted = study.loc[fold.isna(), "image"]
    if len(unlisted) and settings.unlisted == "fail":
        raise InputError(
            f"{settings.file}: has no place for {len(unlisted)} of {len(study)} images of the study:"
            f"\n{listing(unlisted)}\nTo leave them out, set split.unlisted: leave_out. To place all images anew, set"
            " split.method: grouped"
        )
    return pd.Series(fold.fillna(LEFT_OUT).astype(np.int8).to_numpy(), index=study["image"])


def read_saved(path: Path) -> pd.DataFrame:
    """Read a saved split: image, part ('train' or 'test') and fold (int; -1 is none). Raises InputError if it is none.

    The file is split/split.parquet of a study, or the same columns in a text file.
    """
    table = read_frame(path)
    missing = [name for name in SAVED_COLUMNS if name not in table]
    if missing:
        raise InputError(f"{path}: no column {', '.join(missing)}. Give split/split.parquet of a study's results")
    table = table[SAVED_COLUMNS].apply(plain_texts).assign(image=image_names(table["image"]))
    fold = pd.to_numeric(table["fold"], errors="coerce")
    in_test = table["part"] == "test"
    is_place = (in_test & (fold == TEST)) | ((table["part"] == "train") & (fold >= -1) & (fold % 1 == 0))
    faults = table.index[~is_place | table["image"].isna() | table["image"].duplicated(keep=False)]
    if len(faults):
        rows = listing(f"{row_name(path)} {number}" for number in faults)
        raise InputError(
            f"{path}: rows without one place of one image:\n{rows}\nEach image has one row, with part train or test,"
            " and fold -1 in test"
        )
    return table.assign(fold=fold.astype(np.int64)).reset_index(drop=True)
