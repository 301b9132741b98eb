"""The image files of a source: those in its folders, the file of each image name, and folders that are classes."""

import os
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path

import h5py
import pandas as pd

from melanoma.common.errors import InputError
from melanoma.data.tables import Table, plain

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
HDF5_SUFFIXES = (".hdf5", ".h5")
PARTS = {"train", "training", "val", "valid", "validation", "test", "testing"}


def list_images(folder: Path) -> dict[str, str]:
    """Return the path of each image in a folder and its subfolders, by its path in the folder without the suffix.

    An HDF5 file that holds each JPEG as a dataset (ISIC 2024) counts as a folder.
    """
    if folder.suffix.lower() in HDF5_SUFFIXES:
        return _list_hdf5(folder)
    images = {}
    for parent, subfolders, names in os.walk(folder, onerror=_unlisted, followlinks=True):
        subfolders.sort()
        below = "" if parent == str(folder) else f"{os.path.relpath(parent, folder)}/"
        for name in sorted(names, reverse=True):
            # Not pathlib: a Path for each of 400,000 names takes seconds.
            stem, suffix = os.path.splitext(name)  # noqa: PTH122
            if suffix.lower() in IMAGE_SUFFIXES:
                images[plain(below + stem)] = f"{parent}/{name}"
    return images


def find_files(names: pd.Series, images: Mapping[str, str]) -> pd.Series:
    """Return the path of each image name, None if there is none: `images` has the paths as `list_images` returns them.

    A name may lack the subfolders of its image, or have folders above it, and ISIC 2019 adds _downsampled to some
    names. Where two files fit, or two names fit one file, it is not certain, and there is none.
    """
    found = {name: images.get(name) for name in names.dropna().unique()}
    others = [name for name, path in found.items() if path is None]
    by_stem: dict[str, list[str]] = defaultdict(list)
    for image in images if others else ():
        by_stem[_stem(image)].append(image)
    taken = {path for path in found.values() if path}
    fits: dict[str, list[str]] = defaultdict(list)
    for name in others:
        near = [image for image in by_stem.get(_stem(name), ()) if _ends_alike(name, image)]
        same = [image for image in near if _last(image) == _last(name)]
        if len(same or near) == 1:
            fits[images[(same or near)[0]]].append(name)
    found |= {fit[0]: path for path, fit in fits.items() if len(fit) == 1 and path not in taken}
    return names.map(found).astype("str")


def class_folders(listings: Mapping[str, Mapping[str, str]]) -> tuple[Table, dict[str, str]]:
    """Return a table of columns image and folder for images in one subfolder for each class, and their paths.

    `listings` has what `list_images` returns for each folder. An image is named after its file; where two files have
    one name, after its path below the common parent of the folders. Raises InputError if the subfolders are no classes.
    """
    rows = [(image, path) for listing in listings.values() for image, path in listing.items()]
    folders = [image.partition("/")[0] if "/" in image else None for image, _ in rows]
    path = Path(os.path.commonpath(listings))
    _check_classes(path, set(folders))
    names = [_last(image) for image, _ in rows]
    if len(set(names)) < len(names):
        names = [os.path.splitext(os.path.relpath(file, path))[0] for _, file in rows]  # noqa: PTH122
    columns = {"image": pd.Series(names, dtype="str"), "folder": pd.Series(folders, dtype="str")}
    table = Table(path, columns, list(range(1, len(rows) + 1)), pd.Series([None] * len(rows), dtype="str"))
    return table, {name: file for name, (_, file) in zip(names, rows, strict=True)}


def _check_classes(path: Path, folders: Collection[str | None]) -> None:
    subfolders = {folder for folder in folders if folder}
    if not subfolders:
        raise InputError(f"{path}: no image in a subfolder. Layout folders needs one subfolder for each class")
    parts = sorted(folder for folder in subfolders if folder.lower() in PARTS)
    if parts:
        remedy = f"images: [{', '.join(f'{path}/{part}' for part in parts)}]"
        raise InputError(
            f"{path}: {', '.join(parts)} is no class. Give the folders that have the classes, as in {remedy}"
        )


def _list_hdf5(path: Path) -> dict[str, str]:
    try:
        with h5py.File(path) as file:
            return {plain(name): f"{path}/{name}" for name in file}
    except OSError as error:
        raise InputError(
            f"{path}: not an HDF5 file of images ({error}). Fetch it again, or correct the path"
        ) from error


def _unlisted(error: OSError) -> None:
    folder = error.filename
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        raise InputError(
            f"{folder}: no such folder of images. Correct its path in the configuration, or fetch the images"
        ) from error
    raise InputError(f"{folder}: the folder of images cannot be listed: {error.strerror}") from error


def _last(image: str) -> str:
    return image.rpartition("/")[2]


def _stem(image: str) -> str:
    return _last(image).removesuffix("_downsampled")


def _ends_alike(first: str, second: str) -> bool:
    """Return whether the path with fewer folders ends the other one; `_stem` of both is the same."""
    folders = [name.split("/")[-2::-1] for name in (first, second)]
    return all(a == b for a, b in zip(*folders, strict=False))
