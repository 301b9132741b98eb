"""Opens HDF5 files without a lock, which some cluster file systems refuse (ENOLCK, ENOTSUPP).

A lock is not needed: a file has one writer, which uses a temporary name, and it never changes afterwards. The
environment variable HDF5_USE_FILE_LOCKING overrules `locking=False`.
"""

import errno
import io
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def create_hdf5(path: Path) -> Iterator["HDF5Writer"]:
    """Create an HDF5 file, or replace an existing one, and close it at the end; raise OSError if a write fails."""
    with path.open("w+b", buffering=0) as raw:
        disk = _Disk(raw)
        try:
            with HDF5Writer(disk, "w", libver=FORMAT, locking=False) as file:
                file.disk = disk
                yield file
        finally:
            disk.raise_failure()


class HDF5Writer(h5py.File):
    """An HDF5 file that is written; `disk` knows whether a write failed."""

    disk: "_Disk"

    def raise_failure(self) -> None:
        """Raise the OSError of the first write that failed, if any."""
        self.disk.raise_failure()


class _Disk:
    """A file whose first failure is remembered, and not raised in HDF5.

    HDF5 cannot close a file whose writes fail, as on a full disk, and then crashes at the end of the process.
    """

    def __init__(self, raw: io.FileIO) -> None:
        self.raw = raw
        self.failure: OSError | None = None
        self.seek, self.tell, self.read, self.readinto = raw.seek, raw.tell, raw.read, raw.readinto

    def write(self, data: memoryview) -> int:
        """Write all of `data`, or nothing after a failure."""
        written = 0
        try:
            while self.failure is None and written < len(data):
                written += self.raw.write(data[written:]) or 0
        except OSError as error:
            self.failure = error
        return len(data)

    def truncate(self, size: int) -> int:
        """Set the size in bytes."""
        try:
            return self.raw.truncate(size)
        except OSError as error:
            self.failure = self.failure or error
            return size

    def flush(self) -> None:
        """Do nothing: nothing is buffered."""

    def raise_failure(self) -> None:
        """Raise the first failure, if any."""
        if self.failure is not None:
            raise self.failure


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
