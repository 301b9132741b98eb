"""Opens HDF5 files without a lock, which some cluster file systems refuse (ENOLCK, ENOTSUPP).

A lock is not needed: a file has one writer, which uses a temporary name, and it never changes afterwards. The
environment variable HDF5_USE_FILE_LOCKING overrules `locking=False`.
"""

import errno
from functools import lru_cache
from pathlib import Path

import h5py
import numpy as np

from melanoma.common.errors import InputError

# HDF5 1.10 and later read this format. It has checksums of its structure; the oldest format has none.
FORMAT = ("v110", "v110")
REMEDY = "Delete it and run the workflow again, which writes a new one"


def open_hdf5(path: str | Path) -> h5py.File:
    """Open an HDF5 file for reading; raise InputError if this fails."""
    try:
        return h5py.File(path, "r", locking=False)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such image store. Run the workflow's images stage") from error
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path}: cannot be opened as HDF5: {error}. {REMEDY}") from error


def create_hdf5(path: str | Path) -> h5py.File:
    """Create an HDF5 file for writing, and replace an existing one; raise OSError if this fails."""
    return h5py.File(path, "w", libver=FORMAT, locking=False)


def dataset_names(path: Path) -> list[str]:
    """Return the names of all entries of an HDF5 file; raise OSError if it cannot be read."""
    with h5py.File(path, "r", locking=False) as file:
        return list(file)


def read_bytes(path: Path, name: str) -> bytes:
    """Return a dataset of bytes, such as an image file in an HDF5 file; raise OSError if it cannot be read."""
    try:
        return np.asarray(_kept_open(path)[name][()]).tobytes()
    except (OSError, RuntimeError, KeyError) as error:
        raise OSError(errno.EIO, f"not read from HDF5: {error}") from error


# ISIC 2024 has 400,000 images in one file: opening it for each of them would take longer than decoding.
@lru_cache(maxsize=4)
def _kept_open(path: Path) -> h5py.File:
    return h5py.File(path, "r", locking=False)
