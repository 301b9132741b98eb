"""The image store: shards of prepared images in HDF5, a virtual data set over them, and the reader."""

import hashlib
import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Literal, NamedTuple, Protocol, TypedDict

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.common.errors import InputError
from melanoma.common.files import atomic_path, read_parquet
from melanoma.common.hdf5 import REMEDY, create_hdf5, open_hdf5

# The images are not compressed: HDF5's filter lzf makes them a fifth smaller and six times slower to read, gzip two
# fifths smaller and seven times slower.
# A process may hold 1,024 files open on most systems; a training job has several loaders.
OPEN_SHARDS = 64
# A shard must not be closed while another thread reads from it.
ONE_READER = Lock()
# The exceptions that HDF5 raises for a damaged file, depending on where the damage is.
DAMAGE = (KeyError, OSError, RuntimeError, TypeError, ValueError)


class Preparation(TypedDict):
    """The options of the section images that decide the pixels; a shard has them as attributes."""

    size: int
    fit: Literal["center_crop", "resize"]
    crop_border: bool
    color_constancy: Literal["none", "shades_of_gray"]


class ImageReader(Protocol):
    """Images by row, all with one preparation: uint8 RGB squares of `size` pixels."""

    size: int

    def read(self, rows: Sequence[int] | NDArray[np.integer]) -> NDArray[np.uint8]:
        """Return the images of `rows` in that order, uint8 (len(rows), size, size, 3)."""
        ...


class ShardWriter:
    """Adds images to a shard one by one, with a running digest of size, names and pixels."""

    def __init__(self, file: h5py.File, capacity: int, preparation: Preparation) -> None:
        self.file, self.preparation = file, preparation
        size = preparation["size"]
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

    def add(self, name: str, pixels: NDArray[np.uint8]) -> None:
        """Append an image, uint8 (size, size, 3) RGB."""
        self.images[len(self.names)] = pixels
        self.names.append(name)
        self.digest.update(f"{name}\0".encode())
        self.digest.update(pixels.data)

    def finish(self) -> None:
        """Cut the data set to the images that were added; write names, digest and preparation."""
        self.images.resize(len(self.names), axis=0)
        _describe(self.file, self.names, self.preparation, self.digest.hexdigest())


def merge_shards(shards: list[Path], qualities: list[Path], path: Path) -> pd.DataFrame:
    """Write a virtual data set over all shards to `path`; return the joined quality table.

    The paths of the shards are relative to `path`, so the whole folder can be moved. Raises InputError if the shards
    have different preparations, or other images than the quality tables.
    """
    quality = pd.concat([read_parquet(table) for table in qualities], ignore_index=True)
    parts = [_read_part(shard) for shard in shards]
    names = [name for part in parts for name in part.names]
    preparation = parts[0].preparation
    for part in parts[1:]:
        if part.preparation != preparation:
            raise InputError(
                f"the shards have different preparations: {preparation} and {part.preparation}. Prepare all again"
            )
    if names != quality.loc[quality["readable"], "image"].tolist() or len(set(names)) != len(names):
        raise InputError("the shards do not hold the images of the quality tables. Prepare all shards again")
    if not names:
        raise InputError("no image could be read. See the column problem of the shards' quality tables")
    size = preparation["size"]
    files = [os.path.relpath(shard, path.parent) for shard in shards]
    counts = [len(part.names) for part in parts]
    with atomic_path(path) as temporary, create_hdf5(temporary) as file:
        layout = h5py.VirtualLayout((len(names), size, size, 3), np.uint8)
        for name, count, start in zip(files, counts, np.cumsum([0, *counts]), strict=False):
            if count:
                layout[start : start + count] = h5py.VirtualSource(name, "images", (count, size, size, 3))
        file.create_virtual_dataset("images", layout)
        digests = [part.digest for part in parts]
        _describe(file, names, preparation, _joint_digest(digests))
        _write_texts(file, "shards/file", files)
        _write_texts(file, "shards/digest", digests)
        file.create_dataset("shards/images", data=np.array(counts, np.int64), chunks=True, fletcher32=True)
    return quality


class _Part(NamedTuple):
    """The names, digest and preparation in a shard or in the merged store."""

    names: list[str]
    digest: str
    preparation: Preparation


class _Shard(NamedTuple):
    """A shard as the merged store describes it."""

    path: Path
    digest: str
    images: int


class _Open(NamedTuple):
    """An open shard. It has a low-level handle: h5py's own indexing takes as long as reading an image."""

    file: h5py.File
    dataset: h5py.h5d.DatasetID


class ImageStore:
    """The images of a study by row: uint8 RGB squares of `size` pixels, in one shard or in merged shards.

    Each process opens a shard when it first reads from it. So a store can be pickled for a spawned process and used in
    a forked one. Threads may share a store: one of them reads at a time, as HDF5 itself demands. The constructor checks
    that every shard exists, is complete and is the one that was merged: HDF5 would read the images of a missing shard
    as black. At most `open_shards` files are open at a time.
    """

    def __init__(self, path: str | Path, open_shards: int = OPEN_SHARDS) -> None:
        self.path, self.open_shards = Path(path), open_shards
        self.names, self.digest, self.preparation = _read_part(self.path)
        self.size = self.preparation["size"]
        self._shards = self._list_shards()
        self._starts = np.cumsum([0, *(shard.images for shard in self._shards)])
        if self._starts[-1] != len(self):
            raise InputError(f"{self.path}: its shards hold {self._starts[-1]} images, it names {len(self)}. {REMEDY}")
        self._process, self._open = os.getpid(), OrderedDict[int, _Open]()
        for number in range(len(self._shards)):
            self._dataset(number)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.names)

    def __getstate__(self) -> dict[str, object]:
        """Return the state to pickle, without the open files."""
        return {**self.__dict__, "_process": None, "_open": OrderedDict()}

    def read(
        self, rows: Sequence[int] | NDArray[np.integer], out: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """Return the images of `rows` in that order, uint8 (len(rows), size, size, 3); a row may be repeated.

        If `out`, C-contiguous and of that shape and type, is given, it is filled and returned. Raises InputError with
        the shard and the image if a checksum does not match, and IndexError if a row does not exist.
        """
        rows = np.asarray(rows, dtype=np.int64)
        shape = (len(rows), self.size, self.size, 3)
        if out is None:
            out = np.empty(shape, np.uint8)
        elif out.shape != shape or out.dtype != np.uint8 or not out.flags.c_contiguous:
            raise ValueError(f"out: expected C-contiguous uint8 {shape}, got {out.dtype} {out.shape}")
        if len(rows) and not (rows.min() >= 0 and rows.max() < len(self)):
            raise IndexError(f"{self.path}: rows {rows.min()} to {rows.max()}, expected 0 to {len(self) - 1}")
        # Read in the order of the file: a disk or a network file system reads forwards, and a shard is opened once.
        for position in np.argsort(rows, kind="stable").tolist():
            with ONE_READER:
                self._read_one(int(rows[position]), out[position])
        return out

    def _read_one(self, row: int, out: NDArray[np.uint8]) -> None:
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        dataset = self._dataset(number)
        shape = (1, self.size, self.size, 3)
        try:
            space = dataset.get_space()
            space.select_hyperslab((row - int(self._starts[number]), 0, 0, 0), shape)
            dataset.read(h5py.h5s.create_simple(shape), space, out)
        except DAMAGE as error:
            raise InputError(
                f"{self._shards[number].path}: image {self.names[row]} (row {row} of the store) is damaged: {error}. "
                f"{REMEDY}"
            ) from error

    def _list_shards(self) -> list[_Shard]:
        """Return the merged shards, or this file if it is a shard itself."""
        with open_hdf5(self.path) as file:
            if "shards" not in file:
                return [_Shard(self.path, self.digest, len(self))]
            try:
                files = file["shards/file"].asstr()[:]
                digests = file["shards/digest"].asstr()[:].tolist()
                counts = file["shards/images"][:].tolist()
            except DAMAGE as error:
                raise InputError(f"{self.path}: damaged: {error}. {REMEDY}") from error
        if _joint_digest(digests) != self.digest:
            raise InputError(f"{self.path}: damaged: its digest differs from that of its shards. {REMEDY}")
        folder = self.path.parent
        return [
            _Shard(folder / name, digest, count) for name, digest, count in zip(files, digests, counts, strict=True)
        ]

    def _dataset(self, number: int) -> h5py.h5d.DatasetID:
        """Return the open data set of a shard. If too many are open, close the shard that was used least recently."""
        if self._process != os.getpid():
            # After a fork, the handles belong to the parent process, and closing them here would disturb it.
            self._process, self._open = os.getpid(), OrderedDict()
        if number in self._open:
            self._open.move_to_end(number)
        else:
            if len(self._open) >= self.open_shards:
                self._open.popitem(last=False)[1].file.close()
            self._open[number] = self._open_shard(self._shards[number])
        return self._open[number].dataset

    def _open_shard(self, shard: _Shard) -> _Open:
        file = open_hdf5(shard.path)
        try:
            images, digest = file["images"], _text(file, "digest")
            fits = images.dtype == np.uint8 and images.shape[1:] == (self.size, self.size, 3)
            known = digest == shard.digest and len(images) == shard.images
            own = isinstance(file.get("images", getlink=True), h5py.HardLink)
            own = own and not images.is_virtual and not images.external
        except DAMAGE as error:
            file.close()
            raise InputError(f"{shard.path}: not an image store, or damaged: {error}. {REMEDY}") from error
        if not own:
            file.close()
            raise InputError(f"{shard.path}: its images are in another file, which the workflow never does. {REMEDY}")
        if not fits or not known:
            file.close()
            raise InputError(
                f"{shard.path}: not the shard that {self.path} was merged from. "
                f"Delete {self.path} and run the workflow again"
            )
        return _Open(file, images.id)


def _describe(file: h5py.File, names: list[str], preparation: Preparation, digest: str) -> None:
    _write_texts(file, "image", names)
    file.attrs["size"] = preparation["size"]
    texts = {key: str(value) for key, value in preparation.items() if key != "size"}
    texts |= {"color": "RGB", "digest": digest}
    for key, text in texts.items():
        file.attrs.create(key, text.encode(), dtype=h5py.string_dtype(length=len(text.encode())))


def _text(file: h5py.File, key: str) -> str:
    """Return an attribute of fixed length, as the workflow writes it, or of variable length."""
    value = file.attrs[key]
    return value.decode() if isinstance(value, bytes) else str(value)


def _write_texts(file: h5py.File, name: str, texts: list[str]) -> None:
    """Write texts of fixed length. Others are in a heap without a checksum, and HDF5 can hang if it is damaged."""
    encoded = [text.encode() for text in texts]
    data = np.array(encoded, dtype=h5py.string_dtype(length=max(map(len, encoded), default=1)))
    file.create_dataset(name, data=data, chunks=(max(len(texts), 1),), maxshape=(None,), fletcher32=True)


def _preparation(file: h5py.File) -> Preparation:
    fit, constancy = _text(file, "fit"), _text(file, "color_constancy")
    return Preparation(
        size=int(file.attrs["size"]),
        fit="center_crop" if fit == "center_crop" else "resize",
        crop_border=_text(file, "crop_border") == str(True),
        color_constancy="shades_of_gray" if constancy == "shades_of_gray" else "none",
    )


def _joint_digest(digests: list[str]) -> str:
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _read_part(path: Path) -> _Part:
    with open_hdf5(path) as file:
        try:
            names = file["image"].asstr()[:].tolist()
            return _Part(names, _text(file, "digest"), _preparation(file))
        except DAMAGE as error:
            raise InputError(f"{path}: not an image store, or damaged: {error}. {REMEDY}") from error
