"""Small gray thumbnails of the original files, on which near-duplicates are searched."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from melanoma.common.cli import progress
from melanoma.common.files import sha256
from melanoma.images.decode import decode, reduction, upright
from melanoma.images.header import Unreadable, read_header
from melanoma.images.shards import in_order, read_file

SIDE = 160  # pixels of the longer side


class Thumbnail(NamedTuple):
    """`gray`, uint8 (h, w), of which the longer side is SIDE; `sha256` of the file."""

    gray: NDArray[np.uint8]
    sha256: str


def read_thumbnails(files: Sequence[str | Path], max_pixels: int, threads: int) -> list[Thumbnail | None]:
    """Read the files; a file that is no complete image, or has more than `max_pixels` pixels, has no thumbnail."""
    read = in_order(partial(_read_thumbnail, max_pixels=max_pixels), files, threads)
    return list(progress(read, "thumbnails", len(files)))


def _read_thumbnail(path: str | Path, max_pixels: int) -> Thumbnail | None:
    try:
        data = read_file(Path(path))
        header = read_header(data)
        if header.width * header.height > max_pixels:
            return None
        pixels = upright(decode(data, header, reduction(header, SIDE)), header.orientation)
        return Thumbnail(shrink(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)), sha256(data))
    except (OSError, Unreadable):  # the preparation of the images names these files
        return None


def shrink(gray: MatLike) -> NDArray[np.uint8]:
    """Resize a gray image, uint8 (h, w), so that its longer side is SIDE."""
    scale = SIDE / max(gray.shape)
    size = [max(1, round(side * scale)) for side in gray.shape[::-1]]
    return np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC), np.uint8)
