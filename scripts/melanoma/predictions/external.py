"""External predictions, such as a submission to Kaggle, as a model of the study.

Each row must come from a model that was trained without any image of the patient; no file can prove this. A test image
gets its row, whatever its fold and part in the file. A training image gets an out-of-fold row if the file says that the
row is one, by a fold of 0 or more or by the part train. All other rows are ignored.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from melanoma.common.cli import log
from melanoma.common.errors import InputError, listing
from melanoma.predictions.aggregate import with_targets
from melanoma.predictions.table import distances, read_rows, refuse, require
from melanoma.stats.log_odds import logit

SPELLINGS = ("probability", "prob", "target")


def external_predictions(
    path: Path, train: pd.DataFrame, test: pd.DataFrame, folds: list[int], fused: bool
) -> pd.DataFrame:
    """Return the predictions of a file for the test and, if the file has them, out of fold, as `table.COLUMNS`.

    The file has a column image (or image_name), a probability in the first column of `SPELLINGS` that exists, and
    optionally fold, part, patient_distance and trained_prevalence. `train` and `test` are the tables of the split,
    `folds` are the folds that are run, and `fused` tells whether a fusion needs out-of-fold rows. Raises InputError
    that lists images without a row or with several, values that are no probability, distance or prevalence, and
    patients with images in several folds.
    """
    table = _read(path)
    missing = test.loc[~test["image"].isin(table.index), "image"]
    if len(missing):
        raise InputError(
            f"{path}: {len(missing)} of {len(test)} images of the test have no prediction:\n{listing(missing)}\n"
            "Predict all of them: metrics of a part of the images cannot be compared"
        )
    held_out = _out_of_fold(path, table, train, folds, fused)
    images = pd.concat([held_out.assign(part="train"), test.assign(part="test", fold=np.int8(-1))], ignore_index=True)
    counts = len(held_out), len(test), len(table) - len(images)
    log.info("%s: %d out-of-fold rows, %d test rows, %d other rows", path, *counts)
    return with_targets(_joined(images, table), train)


def predictions_of_external_sources(path: Path, images: pd.DataFrame) -> pd.DataFrame:
    """Return the predictions of a file for the `images` of external sources, as `table.COLUMNS`.

    `images` has image, patient and source. A source has no rows if one of its images has none in the file, and a
    warning names the source: metrics of a part of the images cannot be compared. For the file see
    `external_predictions`.
    """
    table = _read(path)
    known = images["image"].isin(table.index)
    for source, found in known.groupby(images["source"], sort=False):
        if not found.all():
            log.warning(
                "%s: no result for the external source %s, because %d of its %d images have no row",
                *(path, source, (~found).sum(), len(found)),
            )
    whole = known.groupby(images["source"]).transform("all")
    rows = images[whole.astype(bool)].assign(part="test", fold=np.int8(-1)).reset_index(drop=True)
    return with_targets(_joined(rows, table), pd.DataFrame({"image": [], "target": []}))


def _joined(images: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Return the predictions of `table` for `images`, which have image, patient, fold, part and source."""
    given = (
        table[["probability", "patient_distance", "trained_prevalence"]].reindex(images["image"]).reset_index(drop=True)
    )
    rows = pd.concat([images[["image", "patient", "fold", "part", "source"]], given], axis=1)
    return rows.assign(logit=logit(given["probability"]))


def _read(path: Path) -> pd.DataFrame:
    """Return probability, patient_distance and trained_prevalence of the file by image, and fold and part if any."""
    table = read_rows(path)
    name = next((name for name in SPELLINGS if name in table), None)
    if name is None:
        raise InputError(
            f"{path}: no column of probabilities among {', '.join(map(str, table.columns))}; name it"
            f" {' or '.join(SPELLINGS)}"
        )
    require(table, ["image"], path)
    refuse(
        table["image"].isna() | table["image"].duplicated(),
        table,
        path,
        "image missing or repeated",
        "keep one row for each image",
    )
    number = pd.to_numeric(table[name], errors="coerce").astype(np.float64)
    refuse(
        ~number.between(0, 1), table, path, "no probability from 0 to 1", "give scores as ranks or probabilities", name
    )
    optional = [column for column in ("fold", "part") if column in table]
    numbers = {
        "probability": number,
        "patient_distance": distances(table, path),
        "trained_prevalence": _prevalences(table, path),
    }
    return table[optional].assign(**numbers).set_axis(table["image"].astype(str))


def _prevalences(table: pd.DataFrame, path: Path) -> pd.Series:
    """Return the share of melanomas that the training saw, NaN where the file does not state it."""
    if "trained_prevalence" not in table:
        return pd.Series(np.nan, index=table.index)
    number = pd.to_numeric(table["trained_prevalence"], errors="coerce").astype(np.float64)
    wrong = table["trained_prevalence"].notna() & ~number.between(0, 1, inclusive="neither")
    remedy = "give the share of melanomas that the training saw, or leave it empty"
    refuse(wrong, table, path, "trained_prevalence not between 0 and 1", remedy, "trained_prevalence")
    return number


def _out_of_fold(path: Path, table: pd.DataFrame, train: pd.DataFrame, folds: list[int], fused: bool) -> pd.DataFrame:
    """Return the rows of train in the folds that are run, if the file has out-of-fold predictions of them."""
    wanted = train[train["fold"].isin(folds)]
    out_of_fold = pd.Series(False, index=table.index)
    if "fold" in table:
        out_of_fold |= pd.to_numeric(table["fold"], errors="coerce") >= 0
        _check_folds(path, table[out_of_fold], train)
    if "part" in table:
        out_of_fold |= table["part"] == "train"
    rows = wanted[wanted["image"].isin(table.index[out_of_fold])]
    if rows.empty and fused:
        raise InputError(
            f"{path}: no out-of-fold predictions, and fusions are fitted to these: add rows of training images with a"
            " column fold (0 or more) or part (train), or remove the model from all fusions"
        )
    if 0 < len(rows) < len(wanted):
        lacking = wanted.loc[~wanted["image"].isin(rows["image"]), "image"]
        raise InputError(
            f"{path}: {len(lacking)} of {len(wanted)} images of the folds that are run have no out-of-fold"
            f" prediction:\n{listing(lacking)}\nAdd them, or remove the columns fold and part"
        )
    return rows


def _check_folds(path: Path, out_of_fold: pd.DataFrame, train: pd.DataFrame) -> None:
    patient = pd.Series(out_of_fold.index, index=out_of_fold.index).map(train.set_index("image")["patient"])
    folds = out_of_fold.groupby(patient)["fold"].nunique()
    divided = folds.index[folds > 1]
    if len(divided):
        raise InputError(
            f"{path}: {len(divided)} patients have images in several folds, so the models that predict them were"
            f" trained on the same patients:\n{listing(divided)}\nRemove the columns fold and part; the test rows stay"
        )
