"""How HDF5 files are opened: without a lock, which some cluster file systems refuse (ENOLCK, ENOTSUPP).

No lock is needed: a file has one writer, under a temporary name, and is never changed afterwards. `locking=False` holds
whenever a file is opened; HDF5_USE_FILE_LOCKING would have to be set before h5py is imported, and overrules it.
"""

from pathlib import Path

import h5py

from melanoma.common.errors import InputError

# Readable from HDF5 1.10 on; unlike the oldest format it has checksums over its own structure.
FORMAT = ("v110", "v110")
REMEDY = "Delete it and run the workflow again, which prepares it anew"


def open_hdf5(path: str | Path) -> h5py.File:
    """Open an HDF5 file to read, or raise InputError."""
    try:
        return h5py.File(path, "r", locking=False)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such image store. Run the workflow's images stage") from error
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path}: cannot be opened as HDF5: {error}. {REMEDY}") from error


def create_hdf5(path: str | Path) -> h5py.File:
    """Create an HDF5 file to write, in place of any that is there; OSError where it cannot be written."""
    return h5py.File(path, "w", libver=FORMAT, locking=False)
