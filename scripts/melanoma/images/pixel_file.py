"""Prepared images in a temporary file, which the process that writes them reads again."""

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray


class PixelFile:
    """Images of one preparation by row, uint8 RGB squares of `size` pixels, as an `ImageReader`.

    It has no checksums, which take a third of the time of an image store: no other process reads it. Leaving the
    context deletes the file.
    """

    def __init__(self, path: Path, size: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.size = path, size
        self.file = path.open("wb+")

    def __enter__(self) -> Self:
        """Return this object."""
        return self

    def __exit__(self, *error: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Delete the file."""
        self.file.close()
        self.path.unlink()

    def add(self, pixels: NDArray[np.uint8]) -> None:
        """Append an image, uint8 (size, size, 3)."""
        self.file.write(pixels.data)

    def read(self, rows: Sequence[int] | NDArray[np.integer]) -> NDArray[np.uint8]:
        """Return the images of `rows` in that order, uint8 (len(rows), size, size, 3). Threads may read together."""
        self.file.flush()
        result = np.empty((len(rows), self.size, self.size, 3), np.uint8)
        for row, image in zip(rows, result, strict=True):
            if os.preadv(self.file.fileno(), [image.data], int(row) * image.nbytes) != image.nbytes:
                raise OSError(f"{self.path}: row {row} is missing")
        return result
