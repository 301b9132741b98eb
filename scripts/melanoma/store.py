"""The image store: shards of prepared images in HDF5, a virtual data set over them, and their reader."""

import hashlib
import os
from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pandas as pd

from melanoma.errors import InputError, listing
from melanoma.files import atomic_path

# Readable from HDF5 1.10 on; unlike the oldest format it has checksums over its own structure.
FORMAT = ("v110", "v110")
REMEDY = "Delete it and run the workflow again, which prepares it anew"


def open_hdf5(path: str | Path) -> h5py.File:
    """Open an HDF5 file to read, with no lock as some cluster file systems refuse it, or raise InputError."""
    try:
        return h5py.File(path, "r", locking=False)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such image store. Run the workflow's images stage") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be opened as HDF5: {error}. {REMEDY}") from error


class ShardWriter:
    """Adds images to a shard one by one, with a running digest over size, names and pixels."""

    def __init__(self, file: h5py.File, capacity: int, size: int, fit: str) -> None:
        self.file, self.size, self.fit = file, size, fit
        self.names: list[str] = []
        self.digest = hashlib.sha256(f"{size}\0".encode())
        self.images = file.create_dataset(
            "images",
            (capacity, size, size, 3),
            np.uint8,
            maxshape=(None, size, size, 3),
            chunks=(1, size, size, 3),
            fletcher32=True,
        )

    def add(self, name: str, pixels: np.ndarray) -> None:
        """Append an image, uint8 (size, size, 3) RGB."""
        self.images[len(self.names)] = pixels
        self.names.append(name)
        self.digest.update(f"{name}\0".encode())
        self.digest.update(pixels)

    def finish(self) -> None:
        """Cut the data set to the images that were added, and write names, digest and settings."""
        self.images.resize(len(self.names), axis=0)
        _describe(self.file, self.names, self.size, self.fit, self.digest.hexdigest())


def merge_shards(shards: list[Path], qualities: list[Path], path: Path) -> pd.DataFrame:
    """Write a virtual data set over all shards to `path`; return their quality tables as one.

    The shards are named relative to `path`, so the folder can be moved as a whole. Raises InputError where
    shards and quality tables do not belong together.
    """
    quality = pd.concat([pd.read_parquet(table) for table in qualities], ignore_index=True)
    parts = [_read_part(shard) for shard in shards]
    names = [name for part in parts for name in part.names]
    kinds = {(part.size, part.fit) for part in parts}
    if len(kinds) != 1:
        raise InputError(f"the shards differ in size or fit: {sorted(kinds)}. Prepare all of them alike")
    if names != quality.loc[quality["readable"], "image"].tolist() or len(set(names)) != len(names):
        raise InputError("the shards do not hold the images of the quality tables. Prepare all shards again")
    if not names:
        raise InputError("no image could be read. See the column problem of the shards' quality tables")
    ((size, fit),) = kinds
    files = [os.path.relpath(shard, path.parent) for shard in shards]
    digests = [part.digest for part in parts]
    with atomic_path(path) as temporary, h5py.File(temporary, "w", libver=FORMAT) as file:
        layout = h5py.VirtualLayout((len(names), size, size, 3), np.uint8)
        start = 0
        for name, part in zip(files, parts, strict=True):
            count = len(part.names)
            if count:
                layout[start : start + count] = h5py.VirtualSource(name, "images", (count, size, size, 3))
            start += count
        file.create_virtual_dataset("images", layout)
        _describe(file, names, size, fit, hashlib.sha256("".join(digests).encode()).hexdigest())
        file.attrs["shards"], file.attrs["shard_digests"] = files, digests
    return quality


class _Part(NamedTuple):
    """What a shard, or the whole store, says of itself."""

    names: list[str]
    digest: str
    size: int
    fit: str


class _Shard(NamedTuple):
    """An open shard; its low-level handle, as h5py's own indexing costs as much as reading an image."""

    path: str
    file: h5py.File
    dataset: h5py.h5d.DatasetID


class ImageStore:
    """The images of a study by row: uint8 RGB squares of `size` pixels.

    Each process opens the files anew, so a store can be pickled to a spawned worker and used in a forked one.
    Opening checks that each shard is there, whole, and the one that was merged: HDF5 itself would read the
    images of a missing shard as black.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.names, self.digest, self.size, _ = _read_part(self.path)
        self._process, self._shards, self._starts = None, [], []
        self._open()

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.names)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the open files behind when pickled."""
        return {**self.__dict__, "_process": None, "_shards": [], "_starts": []}

    def index_of(self, names: Sequence[str]) -> np.ndarray:
        """Return the row of each named image, int64; InputError lists the names that are not there."""
        missing = [name for name in names if name not in self._row_of]
        if missing:
            raise InputError(f"{self.path}: {len(missing)} images are not in the store:\n{listing(missing)}")
        return np.fromiter((self._row_of[name] for name in names), np.int64, len(names))

    def read(self, rows: Sequence[int] | np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Read images by row, in the order asked, repeats allowed: uint8 (len(rows), size, size, 3).

        `out`, of that shape and type and C-contiguous, is filled and returned if given. Raises InputError
        with the shard and the image where a checksum does not match, IndexError for a row that is not there.
        """
        rows = np.asarray(rows, dtype=np.int64)
        shape = (len(rows), self.size, self.size, 3)
        if out is None:
            out = np.empty(shape, np.uint8)
        elif out.shape != shape or out.dtype != np.uint8 or not out.flags.c_contiguous:
            raise ValueError(f"out: expected C-contiguous uint8 {shape}, got {out.dtype} {out.shape}")
        if len(rows) and not (rows.min() >= 0 and rows.max() < len(self)):
            raise IndexError(f"{self.path}: rows {rows.min()} to {rows.max()} asked, expected 0 to {len(self) - 1}")
        self._open()
        # In the order of the file, so that a disk or a network file system reads forwards.
        for position in np.argsort(rows, kind="stable").tolist():
            self._read_one(int(rows[position]), out[position])
        return out

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.names)}

    def _read_one(self, row: int, out: np.ndarray) -> None:
        number = bisect_right(self._starts, row) - 1
        shard = self._shards[number]
        shape = (1, self.size, self.size, 3)
        space = shard.dataset.get_space()
        space.select_hyperslab((row - self._starts[number], 0, 0, 0), shape)
        try:
            shard.dataset.read(h5py.h5s.create_simple(shape), space, out)
        except OSError as error:
            raise InputError(
                f"{shard.path}: image {self.names[row]} (row {row} of the store) is damaged: {error}. {REMEDY}"
            ) from error

    def _open(self) -> None:
        """Open all shards, once in each process: after a fork anew, as handles are the parent's."""
        if self._process == os.getpid():
            return
        with open_hdf5(self.path) as file:
            names = file.attrs.get("shards", [self.path.name])
            digests = file.attrs.get("shard_digests", [self.digest])
        shards, starts, total = [], [], 0
        for name, digest in zip(names, digests, strict=True):
            shard = self._open_shard(self.path.parent / name, digest)
            starts.append(total)
            shards.append(shard)
            total += shard.dataset.shape[0]
        if total != len(self):
            raise InputError(f"{self.path}: its shards hold {total} images, it names {len(self)}. {REMEDY}")
        self._shards, self._starts, self._process = shards, starts, os.getpid()

    def _open_shard(self, path: Path, digest: str) -> _Shard:
        file = open_hdf5(path)
        try:
            dataset, found = file["images"].id, file.attrs["digest"]
        except (KeyError, OSError) as error:
            raise InputError(f"{path}: not an image store, or damaged: {error}. {REMEDY}") from error
        if found != digest or dataset.shape[1:] != (self.size, self.size, 3):
            raise InputError(
                f"{path}: not the shard that {self.path} was merged from. Delete {self.path} and run the workflow again"
            )
        return _Shard(str(path), file, dataset)


def _describe(file: h5py.File, names: list[str], size: int, fit: str, digest: str) -> None:
    file.create_dataset("image", data=names, dtype=h5py.string_dtype(), shape=(len(names),))
    file.attrs.update({"size": size, "fit": fit, "colour": "RGB", "digest": digest})


def _read_part(path: Path) -> _Part:
    with open_hdf5(path) as file:
        try:
            names = file["image"].asstr()[:].tolist()
            return _Part(names, str(file.attrs["digest"]), int(file.attrs["size"]), str(file.attrs["fit"]))
        except (KeyError, OSError) as error:
            raise InputError(f"{path}: not an image store, or damaged: {error}. {REMEDY}") from error
