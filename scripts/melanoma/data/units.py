"""The unit of a study: whose images stay together and are drawn together, by its true name.

A table may name no patients. Then the lesion stands in for the patient, or else the image (see `catalog.join`). The
column patient then holds no patient, and no text may call it one.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

UNITS = ("patient", "lesion", "image")


def row_units(stands_in: pd.Series, lesion: pd.Series) -> pd.Series:
    """Return for each row of a catalog what its column patient names, one of `UNITS`; `stands_in` is bool (n,)."""
    return pd.Series(np.select([~stands_in, lesion.notna()], UNITS[:2], UNITS[2]), index=lesion.index, dtype="str")


def unit(table: pd.DataFrame) -> str:
    """Return the unit of a study, of a source or of predictions: patient where every row names one.

    It is lesion where lesions stand in for some patients, else image. `table` has patient, and unit for each row (see
    `row_units`). A table without unit, such as predictions of another program, has patients if no patient is empty.
    """
    if table["patient"].isna().any():
        return "image"
    present = set(table["unit"]) if "unit" in table else set()
    return next((name for name in UNITS[1:] if name in present), "patient")


def count_units(table: pd.DataFrame) -> int:
    """Return how many patients, lesions or images, by `unit`, the rows of `table` are of."""
    return len(table) if table["patient"].isna().any() else int(table["patient"].nunique())


def without_patient(table: pd.DataFrame) -> int:
    """Return the number of rows that name no patient."""
    no_patient = table["patient"].isna()
    return int((no_patient | (table["unit"] != "patient") if "unit" in table else no_patient).sum())


def patients_notice(table: pd.DataFrame) -> str | None:
    """Return what unknown patients mean for the results of a study, None where every row names its patient."""
    unknown = without_patient(table)
    if not unknown:
        return None
    counts = table.loc[table["unit"] != "patient", "unit"].value_counts()
    instead = ", and ".join(f"the {name} stands in for {counts[name]:,}" for name in UNITS[1:] if name in counts)
    return (
        f"Patients are unknown for {unknown:,} of {len(table):,} images; {instead}. Images of one patient may"
        " be both in training and in the test, so results may be too good and confidence intervals are too narrow."
    )


def weakest(entries: Mapping[str, Mapping[str, object]]) -> str:
    """Return the unit for several entries that have one each: that of the least knowledge, patient for none."""
    units = {str(entry["unit"]) for entry in entries.values()}
    return next((name for name in reversed(UNITS) if name in units), UNITS[0])
