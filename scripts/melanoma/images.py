"""From an image file to one square RGB image, and from many files to a shard of the image store."""

import os
import re
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pandas as pd

from melanoma.command import log, progress
from melanoma.errors import InputError, listing
from melanoma.files import atomic_path
from melanoma.store import FORMAT, ShardWriter

MAX_PIXELS = 200_000_000
os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(MAX_PIXELS)
import cv2  # noqa: E402 - cv2 reads the limit above while it is imported

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
END_OF_JPEG, END_OF_PNG = b"\xff\xd9", b"IEND\xaeB`\x82"
MARKER = re.compile(rb"\xff+[^\x00\xff]")
FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
LONE_MARKERS = frozenset({0x01, *range(0xD0, 0xD8)})
SCAN_MARKER, END_MARKER = 0xDA, 0xD9
REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}


class Unreadable(Exception):
    """A file is no whole image; the message says why."""


class Prepared(NamedTuple):
    """What became of a file: `pixels` uint8 (S, S, 3) RGB, or None and why. Width, height 0: unknown."""

    pixels: np.ndarray | None
    bytes: int
    width: int
    height: int
    problem: str | None


def prepare_file(path: str | Path, size: int, fit: str) -> Prepared:
    """Read, check, decode and resize an image file; what is wrong with it is in `problem`, not raised."""
    data, width, height = b"", 0, 0
    try:
        data = Path(path).read_bytes()
        width, height = header_size(data)
        return Prepared(decode(data, size, fit), len(data), width, height, None)
    except OSError as error:
        return Prepared(None, len(data), width, height, f"cannot be opened: {error.strerror}")
    except Unreadable as error:
        return Prepared(None, len(data), width, height, str(error))


def header_size(data: bytes) -> tuple[int, int]:
    """Return width and height in pixels as a JPEG's or PNG's header states them, before any EXIF rotation.

    Raises Unreadable where `data` is empty, neither JPEG nor PNG, too large to decode, or ends before its
    image does: decoders take some of these for an image and invent the missing pixels.
    """
    if not data:
        raise Unreadable("empty file")
    if data.startswith(JPEG):
        (width, height), complete = _jpeg_facts(data)
    elif data.startswith(PNG):
        (width, height), complete = _png_facts(data)
    else:
        raise Unreadable(f"not a JPEG or PNG (starts with {data[:8]!r})")
    if width * height > MAX_PIXELS:
        raise Unreadable(f"{width} x {height} pixels, more than the {MAX_PIXELS:,} that are decoded")
    if not complete:
        raise Unreadable("truncated: no end-of-image marker")
    return width, height


def decode(data: bytes, size: int, fit: str) -> np.ndarray:
    """Decode a JPEG or PNG, turned upright by its EXIF orientation, to uint8 (size, size, 3) RGB.

    `fit` is center_crop (the largest centred square) or resize (the whole image, squeezed into the square).
    A large JPEG is decoded at a half, quarter or eighth of its sides, where these stay at least `size`: the
    same image within a grey level or so, in less than half the time. Raises Unreadable.
    """
    width, height = header_size(data)
    factors = (factor for factor in REDUCED if data.startswith(JPEG) and min(width, height) // factor >= size)
    factor = next(factors, 1)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), REDUCED.get(factor, cv2.IMREAD_COLOR))
    except cv2.error as error:
        raise Unreadable(f"cannot be decoded: {error.err}") from error
    if pixels is None:
        raise Unreadable("cannot be decoded: damaged or truncated")
    shape = next((s for s in ((height, width), (width, height)) if _reduced(s, factor) == pixels.shape[:2]), None)
    if shape is None:
        raise Unreadable(f"decodes to {pixels.shape[1]} x {pixels.shape[0]}, its header says {width} x {height}")
    # A reduced image is rounded up to whole pixels: cut it where the full one ends, to half a pixel.
    top, left, bottom, right = (round(edge / factor) for edge in _window(*shape, fit))
    return cv2.cvtColor(_resize(pixels[top:bottom, left:right], size), cv2.COLOR_BGR2RGB)


def shard_rows(images: int, shard: int, shards: int) -> slice:
    """Return the contiguous range of the catalog's rows in a shard; sizes differ by one at most."""
    if not 0 <= shard < shards:
        raise InputError(f"shard {shard}: expected a number from 0 to {shards - 1}, as images.shards is {shards}")
    return slice(images * shard // shards, images * (shard + 1) // shards)


def write_shard(path: Path, catalog: pd.DataFrame, settings: dict[str, Any], at_a_time: int) -> pd.DataFrame:
    """Prepare the images of `catalog` (columns image, file) and write them to `path`, HDF5, atomically.

    `settings`: size, fit, on_unreadable (fail or drop). `at_a_time` images are decoded at once, which
    changes the time and nothing else. Returns the quality table, one row per image of the catalog.
    Raises InputError that lists all unreadable files, with on_unreadable: fail.
    """
    size, fit = settings["size"], settings["fit"]
    rows = []
    with atomic_path(path) as temporary, h5py.File(temporary, "w", libver=FORMAT) as file:
        writer = ShardWriter(file, len(catalog), size, fit)
        prepared = _in_order(partial(prepare_file, size=size, fit=fit), catalog["file"], at_a_time)
        for (name, source), result in zip(
            catalog[["image", "file"]].itertuples(index=False),
            progress(prepared, "images", len(catalog)),
            strict=True,
        ):
            if result.pixels is not None:
                writer.add(name, result.pixels)
            rows.append((name, source, *result[1:4], result.problem is None, result.problem))
        quality = _quality_table(rows)
        _judge(quality, settings["on_unreadable"])
        writer.finish()
    return quality


def _jpeg_facts(data: bytes) -> tuple[tuple[int, int], bool]:
    """Return width and height, and whether the scan is ended; a thumbnail in the header has its own end."""
    position, size = 2, None
    try:
        while True:
            position = MARKER.search(data, position).end()
            marker = data[position - 1]
            if marker in LONE_MARKERS:
                continue
            if marker == END_MARKER:
                raise Unreadable("cannot be decoded: a JPEG without an image")
            (length,) = struct.unpack_from(">H", data, position)
            if marker in FRAME_MARKERS:
                height, width = struct.unpack_from(">HH", data, position + 3)
                size = width, height
            position += length
            if marker == SCAN_MARKER:
                break
    except (AttributeError, struct.error) as error:
        raise Unreadable("truncated: it ends inside its header") from error
    if not size or 0 in size:
        raise Unreadable("cannot be decoded: its header gives no width and height")
    return size, data.rfind(END_OF_JPEG, position) >= 0


def _png_facts(data: bytes) -> tuple[tuple[int, int], bool]:
    if len(data) < 24:
        raise Unreadable("truncated: it ends inside its header")
    return struct.unpack_from(">II", data, 16), data.rfind(END_OF_PNG) >= 0


def _reduced(shape: tuple[int, int], factor: int) -> tuple[int, int]:
    """Return the height and width of a reduced decode, which rounds up."""
    return -(-shape[0] // factor), -(-shape[1] // factor)


def _window(height: int, width: int, fit: str) -> tuple[int, int, int, int]:
    """Return top, left, bottom, right of the part of an image that is kept."""
    if fit == "resize":
        return 0, 0, height, width
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return top, left, top + side, left + side


def _resize(pixels: np.ndarray, size: int) -> np.ndarray:
    """Shrink by area, which does not alias, and enlarge linearly: a long thin image needs both."""
    height, width = pixels.shape[:2]
    if max(height, width) > size:
        pixels = cv2.resize(pixels, (min(width, size), min(height, size)), interpolation=cv2.INTER_AREA)
    if min(height, width) < size:
        pixels = cv2.resize(pixels, (size, size), interpolation=cv2.INTER_LINEAR)
    return pixels


def _in_order(function: Callable[[str], Prepared], items: Iterable[str], at_a_time: int) -> Iterator[Prepared]:
    """Yield function(item) in order, computed by threads: OpenCV decodes outside the interpreter's lock.

    At most twice as many results as threads wait at any time, so memory stays bounded where writing is
    slower.
    """
    cv2.setNumThreads(1)
    items = iter(items)
    with ThreadPoolExecutor(at_a_time) as pool:
        waiting = deque(pool.submit(function, item) for item in islice(items, 2 * at_a_time))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(function, item) for item in islice(items, 1))


def _quality_table(rows: list[tuple]) -> pd.DataFrame:
    types = {"image": "str", "file": "str", "bytes": "int64", "width": "int32", "height": "int32"}
    types |= {"readable": "bool", "problem": "str"}
    return pd.DataFrame(rows, columns=list(types)).astype(types)


def _judge(quality: pd.DataFrame, on_unreadable: str) -> None:
    bad = quality[~quality["readable"]]
    if bad.empty:
        return
    lines = [f"{row.file}: image {row.image}: {row.problem}" for row in bad.itertuples()]
    message = f"{len(bad)} of {len(quality)} image files are unreadable:\n{listing(lines, limit=len(lines))}"
    if on_unreadable == "fail":
        raise InputError(
            f"{message}\nFetch these files again, or set on_unreadable: drop to leave them out of the study"
        )
    log.warning("left out: %s", message)
