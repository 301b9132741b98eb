"""Patient, sex and age from the tags of DICOM files: they fill what a table lacks, and are compared with the rest."""

import re
from pathlib import Path

import pandas as pd

from melanoma.common.dicom import open_dicom
from melanoma.common.errors import InputError
from melanoma.tables.identifiers import plain

DICOM_SUFFIX = ".dcm"
TAGS = ("patient", "sex", "age")
SEXES = {"M": "male", "F": "female"}
AGE = re.compile(r"([0-9]+)([DWMY])")
PER_YEAR = {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}


def with_tags(cells: pd.DataFrame) -> tuple[pd.DataFrame, list[tuple[str, str, str]]]:
    """Fill the missing cells of the columns of TAGS from the DICOM files of the rows.

    Also returns what was done: column, problem and action, as in issues.csv. Raises InputError if a file cannot be
    opened.
    """
    files = cells["file"][cells["file"].str.lower().str.endswith(DICOM_SUFFIX).fillna(False)]
    tags = pd.DataFrame([_read_tags(Path(file)) for file in files], index=files.index, columns=list(TAGS), dtype="str")
    notes = []
    filled = {}
    for column in TAGS:
        theirs, ours = tags[column].dropna(), cells[column]
        filled[column] = ours.fillna(tags[column].reindex(cells.index)).astype("str")
        both = ours.reindex(theirs.index).dropna()
        other = int((both.str.lower() != theirs[both.index].str.lower()).sum())
        if len(theirs) > len(both):
            notes.append((column, f"{len(theirs) - len(both)} image(s): read from the DICOM file", "normalized"))
        if other:
            notes.append((column, f"{other} image(s): the tag of the DICOM file says another {column}", "warning"))
    return cells.assign(**filled), notes


def _read_tags(path: Path) -> dict[str, str | None]:
    try:
        dataset = open_dicom(path, pixels=False)
        patient, sex, age = (str(dataset.get(name) or "") for name in ("PatientID", "PatientSex", "PatientAge"))
    except OSError as error:
        raise InputError(f"{path}: cannot be opened: {error.strerror}. Correct the folder") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except Exception as error:  # of many kinds, for damage of many kinds
        raise InputError(f"{path}: a damaged DICOM file: {error}. Replace it") from error
    return {"patient": plain(patient) or None, "sex": SEXES.get(sex), "age": _years(age)}


def _years(text: str) -> str | None:
    """Return the age in years as text, from a text such as 045Y or 018M; None if it is missing."""
    age = AGE.fullmatch(text)
    return plain(round(int(age[1]) / PER_YEAR[age[2]], 2)) if age else None
