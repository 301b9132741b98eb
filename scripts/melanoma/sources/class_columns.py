"""Tables with one column for each class: the class of a row is the column that has a 1 there."""

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

# The classes of the ISIC challenges and of MILK10k, and the diagnosis of each.
ONE_HOT = {
    "MEL": "melanoma",
    "NV": "nevus",
    "BCC": "basal cell carcinoma",
    "AK": "actinic keratosis",
    "AKIEC": "actinic keratosis",
    "BKL": "benign keratosis",
    "DF": "dermatofibroma",
    "VASC": "vascular lesion",
    "SCC": "squamous cell carcinoma",
    "SCCKA": "squamous cell carcinoma",
    "INF": "other benign",
    "BEN_OTH": "other benign",
    "MAL_OTH": "other malignant",
    "UNK": "unknown",
}
ONE_HOT_2017 = {"melanoma": "melanoma", "seborrheic_keratosis": "seborrheic keratosis"}  # a nevus has 0 in both
MARKS = {"x": "1", "true": "1", "false": "0"}


def isic_classes(columns: Collection[str]) -> dict[str, str]:
    """Return the diagnosis of each class column of a table of ISIC; an empty dictionary if it has none."""
    if {"MEL", "NV"} <= set(columns):
        return {name: word for name, word in ONE_HOT.items() if name in columns}
    return ONE_HOT_2017 if set(ONE_HOT_2017) <= set(columns) else {}


def decode(columns: Mapping[str, pd.Series], classes: dict[str, str]) -> pd.DataFrame:
    """Return diagnosis, missing in a faulty row, one_hot_fault, bool, and one_hot, which shows the cells of the row.

    An empty cell is 0 in a table that marks the class with an X.
    """
    texts = pd.DataFrame({name: columns[name] for name in classes})
    numbers = texts.apply(lambda column: pd.to_numeric(column.str.lower().replace(MARKS), errors="coerce"))
    one, zero = numbers == 1, numbers == 0
    if texts.isin(["X", "x"]).any(axis=None):
        zero |= texts.isna()
    total = one.sum(axis=1)
    valid = (one | zero).all(axis=1) & ((total == 1) | ((total == 0) & (classes is ONE_HOT_2017)))
    words = np.array([*classes.values(), "nevus"], dtype=object)
    choice = np.where(total == 1, one.to_numpy().argmax(axis=1), len(classes))
    shown = pd.Series("", index=texts.index, dtype="str")
    for row in np.flatnonzero(~valid):
        cells = {name: texts[name].iloc[row] for name in classes if not zero[name].iloc[row]}
        shown[row] = ", ".join(f"{n}={'' if pd.isna(cell) else cell}" for n, cell in cells.items()) or "all 0"
    diagnosis = pd.Series(words[choice], dtype="str").where(valid)
    return pd.DataFrame({"diagnosis": diagnosis, "one_hot_fault": ~valid, "one_hot": shown})
