"""Prepares image files and writes them to a shard of the image store, with a quality table."""

import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.common.cli import log, progress
from melanoma.common.errors import InputError, listing
from melanoma.common.files import HDF5_SUFFIXES, atomic_path, read_intact, sha256
from melanoma.common.hdf5 import create_hdf5, read_bytes
from melanoma.config.data import Images
from melanoma.images.header import Unreadable, read_header
from melanoma.images.preprocess import crop_and_resize
from melanoma.images.quality import DIM, UNMEASURED, Quality, measure
from melanoma.images.store import Preparation, ShardWriter

Item = TypeVar("Item")
Result = TypeVar("Result")
# Ten times the largest image of the ISIC archive. A larger file is not read into memory.
MAX_BYTES = 2**28
MIN_SIDE = 16  # pixels, of an image that can show a lesion
COLUMNS = {
    "image": "str",
    "file": "str",
    "bytes": "int64",
    "sha256": "str",
    "format": "str",
    "width": "int32",
    "height": "int32",
    "readable": "bool",
    "problem": "str",
    "sharpness": "float32",
    "exposure": "float32",
    "border_fraction": "float32",
    "hair": "float32",
    "featureless": "bool",
}


class Prepared(NamedTuple):
    """The result of the preparation of a file.

    pixels: uint8 (S, S, 3) RGB, None if the file is unreadable; bytes and sha256 of the file, 0 and None if it could
    not be opened; format, width and height from its header, None and 0 if unknown; problem: why the file is unreadable,
    or what is strange about an image that is `featureless`, else None; quality: measures of `pixels`.
    """

    pixels: NDArray[np.uint8] | None
    bytes: int = 0
    sha256: str | None = None
    format: str | None = None
    width: int = 0
    height: int = 0
    problem: str | None = None
    quality: Quality = UNMEASURED


def prepare_file(path: str | Path, settings: Images) -> Prepared:
    """Read, hash, check, decode, resize and measure an image file; an error is returned in `problem`, not raised."""
    result = Prepared(None)
    try:
        data = read_file(Path(path))
        result = result._replace(bytes=len(data), sha256=sha256(data))
        header = read_header(data)
        result = result._replace(format=header.format, width=header.width, height=header.height)
        if header.width * header.height > settings.max_pixels:
            limit = f"more than images.max_pixels = {settings.max_pixels}"
            raise Unreadable(f"{header.width} x {header.height} pixels, {limit}")
        pixels = crop_and_resize(data, header, settings)
        return _doubted(result._replace(pixels=pixels, quality=measure(pixels)))
    except OSError as error:
        return result._replace(problem=f"cannot be opened: {error.strerror}")
    except Unreadable as error:
        return result._replace(problem=str(error))


def _doubted(result: Prepared) -> Prepared:
    """Add what is strange about an image that shows no lesion; its size alone may tell that it is featureless."""
    if min(result.width, result.height) < MIN_SIDE:
        problem = f"only {result.width} x {result.height} pixels; give the original image"
    elif not result.quality.featureless:
        return result
    elif result.quality.exposure <= DIM / 255:
        problem = "nearly black; if it has 10 to 14 bits in 16, scale it to all 16, else leave it out"
    else:
        problem = "nearly one color; look at it, and leave it out if it shows no lesion"
    return result._replace(problem=problem, quality=result.quality._replace(featureless=True))


class Photographs:
    """Image files that are read like the rows of a store. Each is prepared when it is read."""

    def __init__(self, files: Sequence[str | Path], preparation: Preparation) -> None:
        self.files, self.settings = files, Images(**preparation)
        self.size = self.settings.size

    def read(self, rows: Sequence[int] | NDArray[np.integer]) -> NDArray[np.uint8]:
        """Return images by row, uint8 (len(rows), size, size, 3); raise InputError if one is unreadable."""
        return np.stack([self._prepared(self.files[row]) for row in rows])

    def _prepared(self, path: str | Path) -> NDArray[np.uint8]:
        result = prepare_file(path, self.settings)
        if result.pixels is None:
            raise InputError(f"{path}: {result.problem}. Give a complete image file")
        return result.pixels


def shard_rows(images: int, shard: int, shards: int) -> slice:
    """Return the range of a shard in the rows of the catalog. The sizes of two shards differ by at most one."""
    if not 0 <= shard < shards:
        raise InputError(f"shard {shard}: expected a number from 0 to {shards - 1}, as images.shards is {shards}")
    return slice(images * shard // shards, images * (shard + 1) // shards)


def write_shard(path: Path, catalog: pd.DataFrame, settings: Images, threads: int) -> pd.DataFrame:
    """Prepare the images of `catalog` (columns image, file) and write them to `path`, HDF5, atomically.

    Returns the quality table: one row for each image of the catalog, with the columns and types of `COLUMNS`. The
    number of threads does not change the result. With on_unreadable: fail, raises InputError that lists all unreadable
    files.
    """
    with atomic_path(path) as temporary, create_hdf5(temporary) as file:
        preparation = Preparation(
            size=settings.size,
            fit=settings.fit,
            crop_border=settings.crop_border,
            color_constancy=settings.color_constancy,
        )
        writer = ShardWriter(file, len(catalog), preparation)

        def add(name: str, pixels: NDArray[np.uint8]) -> None:
            writer.add(name, pixels)
            file.raise_failure()

        quality = prepare_images(catalog, settings, threads, add)
        _check_readable(quality, settings.on_unreadable)
        writer.finish()
    return quality


def prepare_images(
    catalog: pd.DataFrame, settings: Images, threads: int, add: Callable[[str, NDArray[np.uint8]], None]
) -> pd.DataFrame:
    """Prepare the images of `catalog` and call `add` with name and pixels of each readable one, in order.

    Returns the quality table; see `write_shard`.
    """
    rows = []
    prepared = in_order(partial(prepare_file, settings=settings), catalog["file"], threads)
    for (name, source), result in zip(
        catalog[["image", "file"]].itertuples(index=False),
        progress(prepared, "images", len(catalog)),
        strict=True,
    ):
        if result.pixels is not None:
            add(name, result.pixels)
        rows.append((name, source, *result[1:6], result.pixels is not None, result.problem, *result.quality))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def read_file(path: Path) -> bytes:
    """Read a regular file of at most MAX_BYTES, or such a dataset of bytes, FILE.hdf5/NAME.

    Raises InputError if the workflow drew the image and its file is damaged.
    """
    if path.parent.suffix.lower() in HDF5_SUFFIXES and path.parent.is_file():
        return read_bytes(path.parent, path.name)
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise Unreadable("not a file")
    if facts.st_size > MAX_BYTES:
        raise Unreadable(f"{facts.st_size} bytes, expected at most {MAX_BYTES}")
    try:
        return read_intact(path)
    except InputError as error:
        raise InputError(f"{path}: damaged. Delete {path.parent} and run the workflow again, which draws it") from error


def in_order(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Yield function(item) in order, computed by threads: the slow parts run outside the interpreter's lock.

    At most two results for each thread wait to be written, which bounds the memory.
    """
    cv2.setNumThreads(1)
    items = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        waiting = deque(pool.submit(function, item) for item in islice(items, 2 * threads))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(function, item) for item in islice(items, 1))


def _check_readable(quality: pd.DataFrame, on_unreadable: str) -> None:
    for row in quality[quality["featureless"]].itertuples():
        log.warning("%s: image %s: %s", row.file, row.image, row.problem)
    bad = quality[~quality["readable"]]
    if bad.empty:
        return
    lines = [f"{row.file}: image {row.image}: {row.problem}" for row in bad.itertuples()]
    message = f"{len(bad)} of {len(quality)} image files are unreadable:\n{listing(lines, limit=len(lines))}"
    if on_unreadable == "fail":
        raise InputError(
            f"Of this shard, {message}\nFetch these files again, or leave them out of the study with"
            " images.on_unreadable: drop. snakemake --keep-going checks the other shards, too"
        )
    log.warning("left out of the study: %s", message)
