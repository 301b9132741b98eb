"""From many image files to a shard of the image store, and its quality table."""

import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd

from melanoma.common.cli import log, progress
from melanoma.common.errors import InputError, listing
from melanoma.common.files import atomic_path, sha256
from melanoma.images.hdf5 import create_hdf5
from melanoma.images.header import Unreadable, read_header
from melanoma.images.preprocess import crop_and_resize
from melanoma.images.quality import UNMEASURED, Quality, measure
from melanoma.images.store import PREPARATION, ShardWriter

# Ten times the largest image of the ISIC archive; a larger file is no photograph and is not read into memory.
MAX_BYTES = 2**28
DEFAULTS = {
    "max_pixels": 50_000_000,
    "crop_border": False,
    "color_constancy": "none",
}
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
    "phash": "uint64",
    "sharpness": "float32",
    "exposure": "float32",
    "border_fraction": "float32",
    "hair": "float32",
}


class Prepared(NamedTuple):
    """What became of a file.

    pixels: uint8 (S, S, 3) RGB, or None where it is unreadable; bytes and sha256 of the file, 0 and None where it could
    not be read at all; format, width, height as its header says, None and 0 where that is unknown; problem: why it is
    unreadable, or None; quality: measures of `pixels`.
    """

    pixels: np.ndarray | None
    bytes: int = 0
    sha256: str | None = None
    format: str | None = None
    width: int = 0
    height: int = 0
    problem: str | None = None
    quality: Quality = UNMEASURED


def prepare_file(path: str | Path, settings: dict[str, Any]) -> Prepared:
    """Read, hash, check, decode, resize and measure an image file; what is wrong is in `problem`, not raised.

    `settings`: size and fit, and where they are not the defaults max_pixels, crop_border, color_constancy.
    """
    settings = DEFAULTS | settings
    found = Prepared(None)
    try:
        data = _read(Path(path))
        found = found._replace(bytes=len(data), sha256=sha256(data))
        header = read_header(data)
        found = found._replace(format=header.format, width=header.width, height=header.height)
        if header.width * header.height > settings["max_pixels"]:
            limit = f"more than images.max_pixels = {settings['max_pixels']}"
            raise Unreadable(f"{header.width} x {header.height} pixels, {limit}")
        pixels = crop_and_resize(data, header, settings)
        return found._replace(pixels=pixels, quality=measure(pixels))
    except OSError as error:
        return found._replace(problem=f"cannot be opened: {error.strerror}")
    except Unreadable as error:
        return found._replace(problem=str(error))


class Photographs:
    """Image files that are read as the rows of a store, each prepared when it is asked for.

    `settings`: those of `prepare_file`, such as `ImageStore.preparation`.
    """

    def __init__(self, files: Sequence[str | Path], settings: dict[str, Any]) -> None:
        self.files, self.settings = files, settings
        self.size: int = settings["size"]

    def read(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return images by row, uint8 (len(rows), size, size, 3); raise InputError where one is unreadable."""
        return np.stack([self._prepared(self.files[row]) for row in rows])

    def _prepared(self, path: str | Path) -> np.ndarray:
        found = prepare_file(path, self.settings)
        if found.pixels is None:
            raise InputError(f"{path}: {found.problem}; give a whole JPEG or PNG")
        return found.pixels


def shard_rows(images: int, shard: int, shards: int) -> slice:
    """Return the contiguous range of the catalog's rows in a shard; sizes differ by one at most."""
    if not 0 <= shard < shards:
        raise InputError(f"shard {shard}: expected a number from 0 to {shards - 1}, as images.shards is {shards}")
    return slice(images * shard // shards, images * (shard + 1) // shards)


def write_shard(path: Path, catalog: pd.DataFrame, settings: dict[str, Any], at_a_time: int) -> pd.DataFrame:
    """Prepare the images of `catalog` (columns image, file) and write them to `path`, HDF5, atomically.

    `settings`: those of `prepare_file`, and on_unreadable (fail or drop).
    `at_a_time` images are decoded at once, which changes the time and nothing else. Returns the quality table, one row
    per image of the catalog. Raises InputError that lists all unreadable files, with on_unreadable: fail.
    """
    settings = DEFAULTS | settings
    rows = []
    with atomic_path(path) as temporary, create_hdf5(temporary) as file:
        preparation = {key: settings[key] for key in PREPARATION}
        writer = ShardWriter(file, len(catalog), preparation)
        prepared = _in_order(partial(prepare_file, settings=settings), catalog["file"], at_a_time)
        for (name, source), result in zip(
            catalog[["image", "file"]].itertuples(index=False),
            progress(prepared, "images", len(catalog)),
            strict=True,
        ):
            if result.pixels is not None:
                writer.add(name, result.pixels)
            rows.append((name, source, *result[1:6], result.problem is None, result.problem, *result.quality))
        quality = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
        _check_readable(quality, settings["on_unreadable"])
        writer.finish()
    return quality


def _read(path: Path) -> bytes:
    """Read a whole file, if it is one and of a size that an image can have."""
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise Unreadable("not a file")
    if facts.st_size > MAX_BYTES:
        raise Unreadable(f"{facts.st_size} bytes, more than the {MAX_BYTES} that an image may have")
    return path.read_bytes()


def _in_order(function: Callable[[str], Prepared], items: Iterable[str], at_a_time: int) -> Iterator[Prepared]:
    """Yield function(item) in order, computed by threads: all that takes time is done outside the interpreter's lock.

    At most twice as many results as threads wait at any time, so memory stays bounded where writing is slower.
    """
    cv2.setNumThreads(1)
    items = iter(items)
    with ThreadPoolExecutor(at_a_time) as pool:
        waiting = deque(pool.submit(function, item) for item in islice(items, 2 * at_a_time))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(function, item) for item in islice(items, 1))


def _check_readable(quality: pd.DataFrame, on_unreadable: str) -> None:
    bad = quality[~quality["readable"]]
    if bad.empty:
        return
    lines = [f"{row.file}: image {row.image}: {row.problem}" for row in bad.itertuples()]
    message = f"{len(bad)} of {len(quality)} image files are unreadable:\n{listing(lines, limit=len(lines))}"
    if on_unreadable == "fail":
        raise InputError(
            f"Of this shard {message}\nFetch these files again, or set images.on_unreadable: drop to leave them out of"
            " the study. snakemake --keep-going looks through the other shards, too"
        )
    log.warning("left out: %s", message)
