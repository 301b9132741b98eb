"""The image files of a source: those in its folders, the file of each image name, and folders that are classes."""

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import pandas as pd

from melanoma.common.errors import InputError
from melanoma.common.files import HDF5_SUFFIXES
from melanoma.common.hdf5 import dataset_names
from melanoma.tables.identifiers import image_name, plain
from melanoma.tables.tables import Table

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".dcm")
MACOS = "._"  # begins the name of a file that macOS writes beside each file on a disk of another system
# What may differ between two spellings of one name, once both are in lower case: separators and leading zeros.
SPELLING = re.compile(r"[\W_]+|(?<!\d)0+(?=\d)")
PARTS = {"train", "training", "val", "valid", "validation", "test", "testing"}


def list_images(folder: Path) -> dict[str, list[str]]:
    """Return the paths of the images in a folder and its subfolders, by their path in the folder without the suffix.

    An HDF5 file that holds each JPEG as a dataset (ISIC 2024) counts as a folder.
    """
    if folder.suffix.lower() in HDF5_SUFFIXES:
        return _list_hdf5(folder)
    images: dict[str, list[str]] = {}
    for parent, subfolders, names in os.walk(folder, onerror=_unlisted, followlinks=True):
        subfolders.sort()
        below = "" if parent == str(folder) else f"{os.path.relpath(parent, folder)}/"
        for name in sorted(names):
            # Not pathlib: a Path for each of 400,000 names takes seconds.
            stem, suffix = os.path.splitext(name)  # noqa: PTH122
            if suffix.lower() in IMAGE_SUFFIXES and not name.startswith(MACOS):
                images.setdefault(plain(below) + image_name(stem), []).append(f"{parent}/{name}")
    return images


def joined(listings: Iterable[Mapping[str, list[str]]]) -> dict[str, list[str]]:
    """Join what `list_images` returns for several folders."""
    images: dict[str, list[str]] = {}
    for files in listings:
        for image, paths in files.items():
            images[image] = images.get(image, []) + paths
    return images


def names_and_paths(given: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return the names of images and their paths, both without suffix. Of two with one name, the path is the name."""
    names = {text: image_name(text) for text in given.dropna().unique()}
    paths = {text: "/".join([*re.split(r"[/\\]", text)[:-1], name]) for text, name in names.items()}
    repeated = pd.Series(names, dtype="str").duplicated(keep=False)
    names |= {text: paths[text] for text in repeated.index[repeated]}
    return given.map(names).astype("str"), given.map(paths).astype("str")


def find_files(names: pd.Series, images: Mapping[str, list[str]], folders: str) -> pd.DataFrame:
    """Return the columns file and file_fault: the path of each image name, and why there is none, else None.

    `images` has the paths as `joined` returns them. A name may lack the subfolders of its image, or have folders above
    it, and ISIC 2019 adds _downsampled to some names. Where two files fit, or two names fit one file, it is not
    certain, and there is none.
    """
    fitting = {name: images.get(name, []) for name in names.dropna().unique()}
    others = [name for name, paths in fitting.items() if not paths]
    by_stem: dict[str, list[str]] = defaultdict(list)
    for image in images if others else ():
        by_stem[_stem(image)].append(image)
    for name in others:
        near = [image for image in by_stem.get(_stem(name), ()) if _ends_alike(name, image)]
        same = [image for image in near if _last(image) == _last(name)]
        fitting[name] = [path for image in same or near for path in images[image]]
    claims = Counter(paths[0] for paths in fitting.values() if len(paths) == 1)
    found = {
        name: paths[0]
        for name, paths in fitting.items()
        if len(paths) == 1 and (name in images or claims[paths[0]] == 1)
    }
    table = pd.DataFrame({"file": names.map(found).astype("str")})
    return table.assign(file_fault=names.map(_faults(fitting, found, images, folders)).astype("str"))


def _faults(
    fitting: Mapping[str, list[str]], found: Mapping[str, str], images: Mapping[str, list[str]], folders: str
) -> dict[str, str]:
    """Return why a name has no file. Names with the same reason have the same text, with the first of them."""
    faults: dict[str, str] = {}
    several = {name: paths for name, paths in fitting.items() if len(paths) > 1}
    if several:
        shown = "; ".join(" and ".join(paths) for paths in [*several.values()][:3])
        faults |= dict.fromkeys(several, f"has several files: {shown}; remove or rename all but one")
    missing = [name for name in fitting if name not in found and name not in several]
    known = {_spelling(image): image for image in images} if missing else {}
    hints = {name: known[_spelling(name)] for name in missing if _spelling(name) in known}
    kinds: dict[str, str] = {}
    for name, image in hints.items():
        kind = _difference(name, image)
        kinds.setdefault(kind, f"{name!r} in the table, {_last(images[image][0])!r} in the folder: {kind}")
        faults[name] = f"no such image file in {folders}; is another spelling meant ({kinds[kind]})? Write it as there"
    nothing = f"no such image file in {folders}; fetch the images, correct the folder, or remove the rows"
    return faults | {name: nothing for name in missing if name not in hints}


def _spelling(name: str) -> str:
    """Return the form that is the same in all spellings of a name: case, separators, leading zeros, Unicode."""
    return SPELLING.sub("", unicodedata.normalize("NFKC", _stem(name)).casefold())


def _difference(name: str, image: str) -> str:
    name, image = _last(name), _last(image)
    if name.casefold() == image.casefold():
        return "upper and lower case differ"
    if unicodedata.normalize("NFKC", name) == unicodedata.normalize("NFKC", image):
        return "they look alike and have different characters"
    return "zeros, blanks or signs differ"


def class_folders(listings: Mapping[str, Mapping[str, list[str]]]) -> tuple[Table, dict[str, list[str]]]:
    """Return a table of columns image and folder for images in one subfolder for each class, and their paths.

    `listings` has what `list_images` returns for each folder. An image is named after its file; where two files have
    one name, after its path below the common parent of the folders. Raises InputError if the subfolders are no classes.
    """
    rows = [(image, path) for files in listings.values() for image, paths in files.items() for path in paths]
    folders = [image.partition("/")[0] if "/" in image else None for image, _ in rows]
    path = Path(os.path.commonpath(listings))
    _check_classes(path, set(folders))
    names = [_last(image) for image, _ in rows]
    if len(set(names)) < len(names):
        names = [os.path.splitext(os.path.relpath(file, path))[0] for _, file in rows]  # noqa: PTH122
    columns = {"image": pd.Series(names, dtype="str"), "folder": pd.Series(folders, dtype="str")}
    table = Table(path, columns, list(range(1, len(rows) + 1)), pd.Series([None] * len(rows), dtype="str"))
    return table, joined({name: [file]} for name, (_, file) in zip(names, rows, strict=True))


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


def _list_hdf5(path: Path) -> dict[str, list[str]]:
    try:
        return {image_name(name): [f"{path}/{name}"] for name in dataset_names(path)}
    except OSError as error:
        raise InputError(f"{path}: no HDF5 file of images. Fetch it again, or correct its path") from error


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
