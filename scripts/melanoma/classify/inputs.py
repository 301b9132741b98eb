"""The images to classify, and what a table says about them."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from melanoma.common.cli import log
from melanoma.common.errors import InputError, listing
from melanoma.sources.image_files import IMAGE_SUFFIXES
from melanoma.tables.identifiers import image_name, image_names
from melanoma.tables.tables import read_frame
from melanoma.tables.vocabulary import harmonize

METADATA = ("patient", "age", "sex", "site")
# The names that a table may give its columns: those of this project, and those of the ISIC archive and of Kaggle.
SPELLINGS = {
    "image": ("image", "image_name", "isic_id"),
    "patient": ("patient", "patient_id"),
    "age": ("age", "age_approx"),
    "sex": ("sex",),
    "site": ("site", "anatom_site_general_challenge", "anatom_site_general"),
}


def find_images(paths: Sequence[Path]) -> pd.DataFrame:
    """Return the images of files and folders (with their subfolders): image, the name without suffix, and file.

    Files of a folder are in the order of their paths. Raises InputError if a path is missing, if a folder has no image,
    or if two files have the same name.
    """
    files = [file for path in paths for file in _files(path)]
    table = pd.DataFrame(
        {"image": [image_name(file.name) for file in files], "file": [str(file) for file in files]}, dtype="str"
    )
    twice = table[table["image"].duplicated(keep=False)].sort_values("image", kind="stable")
    if len(twice):
        raise InputError(
            "Two files have the same name, and a table could mean either. Rename one or classify their folders one by"
            f" one:\n{listing(twice['file'])}"
        )
    return table


def with_metadata(images: pd.DataFrame, path: Path | None) -> pd.DataFrame:
    """Return the images with patient, age, sex and site from a table; all are missing without one.

    The table has image (the file's name, with or without suffix) and any of the other columns, each by one of its
    `SPELLINGS`. A warning counts the images without a row. Raises InputError if the table has no image column, has none
    of the images, names an image twice, or has an age, sex or site that is not understood.
    """
    if path is None:
        return images.assign(**{name: pd.Series(None, index=images.index, dtype="str") for name in METADATA}).astype(
            {"age": "float64"}
        )
    if not path.is_file():
        raise InputError(f"{path}: no such table. Correct its path, or leave --table out")
    table = read_frame(path)
    given = {name: next((each for each in spellings if each in table), None) for name, spellings in SPELLINGS.items()}
    if given["image"] is None:
        raise InputError(f"{path}: no column image. Its columns are {', '.join(table)}; rename the one of the images")
    table = pd.DataFrame({name: table[column] for name, column in given.items() if column is not None})
    names = image_names(table["image"])
    table = pd.DataFrame({"image": names, **{name: table[name] for name in METADATA if name in table}})
    twice = table["image"][table["image"].duplicated()].unique().tolist()
    if twice:
        raise InputError(f"{path}: images in several rows; remove all but one of each:\n{listing(twice)}")
    table = table.reindex(columns=["image", *METADATA])
    for name in ("sex", "site"):
        table[name] = _words(table[name].astype("str"), name, path)
    table["age"] = _ages(table["age"], path)
    table["patient"] = table["patient"].astype("str")
    lacking = images.loc[~images["image"].isin(table["image"]), "image"].tolist()
    if lacking and len(lacking) == len(images):
        raise InputError(f"{path}: no row for any of the images, such as {lacking[0]}. Give the names of their files")
    if lacking:
        log.warning("%s: %d of %d images have no row, such as %s", path, len(lacking), len(images), lacking[0])
    return images.merge(table, on="image", how="left", validate="1:1")


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"{path}: no such file or folder")
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES and file.name[0] != ".")
    if not found:
        raise InputError(f"{path}: no image in this folder; expected files with {', '.join(IMAGE_SUFFIXES)}")
    return found


def _words(texts: pd.Series, name: str, path: Path) -> pd.Series:
    words = harmonize(texts, name)
    unknown = texts[~words["known"]].unique().tolist()
    if unknown:
        raise InputError(f"{path}: {name}: not in the vocabulary of docs/data.md, correct or empty it: {unknown}")
    return words["word"]


def _ages(values: pd.Series, path: Path) -> pd.Series:
    ages = pd.to_numeric(values, errors="coerce").astype("float64")
    wrong = values[(values.notna() & ages.isna()) | (ages < 0) | (ages > 120)].unique().tolist()
    if wrong:
        raise InputError(f"{path}: age: expected years from 0 to 120 or nothing, found {wrong}")
    return ages
