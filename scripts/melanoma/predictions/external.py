"""Predictions made elsewhere, such as a submission to Kaggle, as a model of the study.

A row must be the prediction of a model that saw neither the image nor any other of its patient: no file can prove that.
An image of our test takes its row, whatever that says of fold and part. An image of our train is an out-of-fold row
where the file says that it was one, by a fold from 0 on or by the part train; all else is left out.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from melanoma.common.cli import log
from melanoma.common.errors import InputError, listing
from melanoma.predictions.aggregate import with_targets
from melanoma.predictions.table import distances, logit, read_rows, refuse, require

SPELLINGS = ("probability", "prob", "target")


def external_predictions(
    path: Path, train: pd.DataFrame, test: pd.DataFrame, folds: list[int], fused: bool
) -> pd.DataFrame:
    """Return the predictions of a file for our test and, where it has them, out of fold, in the workflow's columns.

    The file has a column image (or image_name), one of `SPELLINGS` with the probability, the first of them that is
    there, and perhaps fold, part or patient_distance. `train` and `test` are the tables of the split; `folds` are those
    that were run, and `fused` tells whether out-of-fold rows are needed. Raises InputError naming images that the file
    lacks or has twice, values that are no probability or distance, and patients whose images are in several of its
    folds.
    """
    table = _read(path)
    missing = test.loc[~test["image"].isin(table.index), "image"]
    if len(missing):
        raise InputError(
            f"{path}: {len(missing)} of {len(test)} images of the test have no prediction:\n{listing(missing)}\n"
            "Predict all of them: a score over a part of the images cannot be compared"
        )
    held_out = _out_of_fold(path, table, train, folds, fused)
    images = pd.concat([held_out.assign(part="train"), test.assign(part="test", fold=np.int8(-1))], ignore_index=True)
    theirs = table[["probability", "patient_distance"]].reindex(images["image"]).reset_index(drop=True)
    log.info(
        "%s: %d rows out of fold, %d of the test; %d others", path, len(held_out), len(test), len(table) - len(images)
    )
    rows = pd.concat([images[["image", "patient", "fold", "part", "source"]], theirs], axis=1)
    clipped = theirs["probability"].clip(1e-15, 1 - 1e-15)
    return with_targets(rows.assign(logit=logit(clipped), trained_prevalence=np.nan), train)


def _read(path: Path) -> pd.DataFrame:
    """The file's probability and distance, and fold and part where it has them, by image."""
    table = read_rows(path)
    name = next((name for name in SPELLINGS if name in table), None)
    if name is None:
        raise InputError(
            f"{path}: no column of probabilities among {', '.join(map(str, table.columns))}; it is named one of"
            f" {', '.join(SPELLINGS)}"
        )
    require(table, ["image"], path)
    refuse(
        table["image"].isna() | table["image"].duplicated(), table, path, "image missing or twice", "keep one row each"
    )
    number = pd.to_numeric(table[name], errors="coerce").astype(np.float64)
    refuse(~number.between(0, 1), table, path, "no probability from 0 to 1", "rank or squash scores first", name)
    known = [column for column in ("fold", "part") if column in table]
    made = {"probability": number, "patient_distance": distances(table, path)}
    return table[known].assign(**made).set_axis(table["image"].astype(str))


def _out_of_fold(path: Path, table: pd.DataFrame, train: pd.DataFrame, folds: list[int], fused: bool) -> pd.DataFrame:
    """The rows of train that are validation in a fold that was run, where the file has them out of fold."""
    wanted = train[train["fold"].isin(folds)]
    claimed = pd.Series(False, index=table.index)
    if "fold" in table:
        claimed |= pd.to_numeric(table["fold"], errors="coerce") >= 0
        _check_folds(path, table[claimed], train)
    if "part" in table:
        claimed |= table["part"] == "train"
    found = wanted[wanted["image"].isin(table.index[claimed])]
    if found.empty and fused:
        raise InputError(
            f"{path}: no out-of-fold predictions, which a fusion is fitted to: the file needs rows of images of train"
            " with a column fold (0 or more) or part (train). Add them, or take the model out of fusions"
        )
    if 0 < len(found) < len(wanted):
        lacking = wanted.loc[~wanted["image"].isin(found["image"]), "image"]
        raise InputError(
            f"{path}: {len(lacking)} of {len(wanted)} images of the folds that were run have no out-of-fold"
            f" prediction:\n{listing(lacking)}\nGive all of them, or none by leaving out the columns fold and part"
        )
    return found


def _check_folds(path: Path, claimed: pd.DataFrame, train: pd.DataFrame) -> None:
    patient = pd.Series(claimed.index, index=claimed.index).map(train.set_index("image")["patient"])
    folds = claimed.groupby(patient)["fold"].nunique()
    torn = folds.index[folds > 1]
    if len(torn):
        raise InputError(
            f"{path}: {len(torn)} patients have images in several of its folds, so they were predicted by models that"
            f" trained on the same patient:\n{listing(torn)}\nLeave out the columns fold and part; the test rows stay"
        )
