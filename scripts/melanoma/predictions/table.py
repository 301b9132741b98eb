"""Tables of predictions: read from Parquet files of the workflow or from any CSV, checked, joined to labels."""

from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd

from melanoma.common.errors import InputError, listing
from melanoma.stats.log_odds import logit, sigmoid
from melanoma.tables.identifiers import image_names, plain_texts
from melanoma.tables.tables import read_frame, row_name

COLUMNS = [
    "image",
    "patient",
    "fold",
    "part",
    "source",
    "logit",
    "probability",
    "trained_prevalence",
    "patient_distance",
    "target",
]
SPREAD = "spread"  # an optional column: standard deviation of an image's logits over trainings
VIEW_DEVIATION = "view_deviation"  # an optional column: standard deviation of the probability over the views
REFIT = "refit"  # the training on all folds
FOLD_LOGIT = "logit_fold-"  # begins the names of optional columns: test logits of each training
BESIDE_LABELS = ("unit", "confirmation")  # see `units`; how the diagnosis was confirmed
SPELLINGS = {
    "image": ("image", "image_name"),
    "patient": ("patient", "patient_id"),
    "probability": ("probability", "prob"),
}
# The most by which a probability may differ from that of its logit: both may be rounded to two digits.
ROUNDING = 0.01


def read_predictions(path: str | Path) -> pd.DataFrame:
    """Read predictions from a Parquet or CSV file and return them in the workflow's columns.

    The file must have `image` (or `image_name`) and `probability` (or `prob`). It may have `patient` (or `patient_id`)
    and the other columns below. Without `part`, every row is 'test'. The columns that are returned:

    - image: str.
    - patient: str, null if unknown.
    - fold: int8, -1 for none.
    - part: 'train' (out-of-fold prediction) or 'test'.
    - source: str, null if unknown.
    - logit: float64, that of the probability.
    - probability: float64 from 0 to 1.
    - trained_prevalence: float64, the share of melanomas that the training saw, NaN if unknown.
    - patient_distance: float64, see `patient_context.patient_distance`, NaN if the model has none.
    - target: Int8, 0 or 1, null if unknown.
    - spread, view_deviation: float64, see `SPREAD` and `VIEW_DEVIATION`, only those that the file has.
    - logit_fold-0 and so on: float64, see `FOLD_LOGIT`, NaN out of fold, only those that the file has.

    Raises InputError with file, line and image if a value is missing, repeated or out of range.
    """
    table = read_rows(path)
    require(table, ["image", "probability"], path)
    _check_images(table, path)
    probability = _probabilities(table, path)
    columns: dict[str, object] = {
        "image": table["image"].astype(str),
        "patient": _patients(table, path),
        "fold": _folds(table, path) if "fold" in table else np.int8(-1),
        "part": _parts(table, path) if "part" in table else "test",
        "source": table["source"].astype("str") if "source" in table else pd.array([None] * len(table), "str"),
        "logit": _logits(table, probability, path) if "logit" in table else logit(probability),
        "probability": probability,
        "trained_prevalence": _numbers(table["trained_prevalence"]) if "trained_prevalence" in table else np.nan,
        "patient_distance": distances(table, path),
        "target": _labels(table, path)
        if "target" in table and table["target"].notna().any()
        else pd.array([None] * len(table), "Int8"),
    }
    for name in [SPREAD, VIEW_DEVIATION, *fold_columns(table)]:
        if name in table:
            columns[name] = _numbers(table[name])
    return pd.DataFrame(columns, index=table.index).reset_index(drop=True)


def fold_column(training: str) -> str:
    """Return the column with the test logits of a training: logit_fold-0 of fold-0, logit_fold-refit of refit."""
    return f"{FOLD_LOGIT}{training.removeprefix('fold-')}"


def fold_columns(table: pd.DataFrame) -> list[str]:
    """Return the names of the columns with the test logits of each training."""
    return [name for name in table if str(name).startswith(FOLD_LOGIT)]


def read_labels(path: str | Path) -> pd.DataFrame:
    """Read labels from a Parquet or CSV file with `image` (or `image_name`) and `target`.

    Returns image, str, target, Int8 0/1, and those of `BESIDE_LABELS` that the file has, str. Raises InputError for a
    missing column, a repeated image or another label.
    """
    table = read_rows(path)
    require(table, ["image", "target"], path)
    _check_images(table, path)
    labels = pd.DataFrame({"image": table["image"].astype(str), "target": _labels(table, path)})
    labels = labels.assign(**{name: table[name] for name in BESIDE_LABELS if name in table})
    return labels.reset_index(drop=True)


def join_labels(predictions: pd.DataFrame, labels: pd.DataFrame, name: str, subset: bool = False) -> pd.DataFrame:
    """Return `predictions` with `target`, and those of `BESIDE_LABELS` that `labels` has, taken from it by image.

    Both must have the same images. With `subset`, images without a prediction are allowed. `name` is the model for the
    error message. Raises InputError that lists the images that only one of the two has.
    """
    unlabeled = predictions.loc[~predictions["image"].isin(labels["image"]), "image"]
    if len(unlabeled):
        raise InputError(
            f"{name}: {len(unlabeled)} images with a prediction but no label:\n{listing(unlabeled)}\n"
            "Give the labels of exactly these images."
        )
    unpredicted = labels.loc[~labels["image"].isin(predictions["image"]), "image"]
    if len(unpredicted) and not subset:
        raise InputError(
            f"{name}: {len(unpredicted)} images with a label but no prediction:\n{listing(unpredicted)}\n"
            "Predict them, too: metrics of a part of the images cannot be compared."
        )
    known = labels.set_index("image")
    target = predictions["image"].map(known["target"]).astype("Int8")
    beside = {name: predictions["image"].map(known[name]) for name in BESIDE_LABELS if name in known}
    return predictions.assign(target=target, **beside)


def named_path(text: str) -> tuple[str, Path]:
    """Return name and path of 'NAME=PATH'; without a name it is the stem of the path."""
    name, separator, path = text.partition("=")
    if separator and "/" not in name:
        return name, Path(path)
    return Path(text).stem, Path(text)


def named_paths(texts: list[str]) -> dict[str, Path]:
    """Return the path of each 'NAME=PATH' by its name; raise InputError if a name is repeated."""
    pairs = [named_path(text) for text in texts]
    names = [name for name, _ in pairs]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"given twice: {', '.join(repeated)}; give each file another name, as NAME=PATH")
    return dict(pairs)


def read_rows(path: str | Path) -> pd.DataFrame:
    """Read a CSV or Parquet table of complete rows, indexed by their lines or row numbers (see `read_frame`).

    The columns of `SPELLINGS` get our names. Images and patients become plain texts. Raises InputError if the table
    cannot be read.
    """
    table = read_frame(Path(path))
    names = {spelling: column for column, spellings in SPELLINGS.items() for spelling in reversed(spellings)}
    present = {spelling: column for spelling, column in names.items() if spelling in table and column not in table}
    table = table.rename(columns=present)
    canonical = {"image": image_names, "patient": plain_texts}
    return table.assign(**{name: texts(table[name]) for name, texts in canonical.items() if name in table})


def distances(table: pd.DataFrame, path: str | Path) -> pd.Series:
    """Return patient_distance, float64 (n,), NaN if no row has one; raise InputError if some rows have none."""
    if "patient_distance" not in table or table["patient_distance"].isna().all():
        return pd.Series(np.nan, index=table.index)
    number = _numbers(table["patient_distance"])
    remedy = "give a number from 0 to 2 in all rows, or remove the column"
    refuse(~number.between(0, 2), table, path, "patient_distance not in 0 to 2", remedy, "patient_distance")
    return number


def require(table: pd.DataFrame, columns: list[str], path: str | Path) -> None:
    """Raise InputError if `table` has no rows or lacks one of `columns`; the error names the most similar column."""
    for column in columns:
        if column in table:
            continue
        spellings = SPELLINGS.get(column, (column,))
        near = [match for word in spellings for match in get_close_matches(word, map(str, table.columns), n=1)]
        hint = f"; did you mean '{near[0]}'?" if near else ""
        wanted = "' or '".join(spellings)
        raise InputError(f"{path}: no column '{wanted}' among {', '.join(map(str, table.columns))}{hint}")
    if table.empty:
        raise InputError(f"{path}: no rows")


def _check_images(table: pd.DataFrame, path: str | Path) -> None:
    refuse(table["image"].isna(), table, path, "no image name", "name the image")
    refuse(table["image"].duplicated(), table, path, "image repeated", "keep one row for each image")


def _patients(table: pd.DataFrame, path: str | Path) -> pd.Series:
    """Return the patients. All or none must be known: otherwise images of one patient could be separated."""
    if "patient" not in table:
        return pd.Series(None, index=table.index, dtype="str")
    unknown = table["patient"].isna()
    if not unknown.all():
        remedy = "name the patient, or give the row a new id; without the column, the bootstrap draws images"
        refuse(unknown, table, path, "no patient", remedy)
    return table["patient"].astype("str")


def _probabilities(table: pd.DataFrame, path: str | Path) -> pd.Series:
    number = _numbers(table["probability"])
    wrong = ~number.between(0, 1)
    refuse(number.isna(), table, path, "probability empty or not a number", "give a number from 0 to 1", "probability")
    refuse(wrong, table, path, "probability not in 0 to 1", "give a probability, not a logit", "probability")
    return number


def _logits(table: pd.DataFrame, probability: pd.Series, path: str | Path) -> pd.Series:
    number = _numbers(table["logit"])
    wrong = ~((sigmoid(number) - probability).abs() <= ROUNDING)
    refuse(wrong, table, path, "logit not that of the probability", "correct it, or remove the column", "logit")
    return number


def _labels(table: pd.DataFrame, path: str | Path) -> pd.Series:
    """Return the labels. Rows of the part test may have none, because their labels may be in another file."""
    number = _numbers(table["target"])
    wrong = ~number.isin([0, 1])
    if "part" in table:
        wrong &= ~((table["part"] == "test") & table["target"].isna()).astype(bool)
    refuse(wrong, table, path, "label not 0 or 1", "give 0 for benign and 1 for melanoma", "target")
    return number.astype("Int8")


def _folds(table: pd.DataFrame, path: str | Path) -> pd.Series:
    number = _numbers(table["fold"])
    refuse(~number.isin(range(-1, 128)), table, path, "fold not a whole number from -1", "leave the column out", "fold")
    return number.astype(np.int8)


def _numbers(column: pd.Series) -> pd.Series:
    """Return a column as float64, NaN where it has no number."""
    return pd.to_numeric(column, errors="coerce").astype(np.float64)


def _parts(table: pd.DataFrame, path: str | Path) -> pd.Series:
    wrong = ~table["part"].isin(["train", "test"])
    refuse(wrong, table, path, "part not 'train' or 'test'", "remove the column to evaluate every row", "part")
    return table["part"].astype(str)


def refuse(
    wrong: pd.Series,
    table: pd.DataFrame,
    path: str | Path,
    problem: str,
    remedy: str,
    column: str | None = None,
) -> None:
    """Raise InputError that lists the rows where `wrong` is true, by line (CSV) or row (Parquet) and image."""
    if not wrong.any():
        return
    rows = [
        f"{row_name(path)} {index}, image {row['image']}" + (f": {row[column]}" if column else "")
        for index, row in table[wrong].iterrows()
    ]
    raise InputError(f"{path}: {problem}, in {len(rows)} of {len(table)} rows; {remedy}:\n{listing(rows)}")
