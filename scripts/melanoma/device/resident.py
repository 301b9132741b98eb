"""The images of a training in the memory of the GPU, where they fit, so that no epoch reads them again."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from melanoma.compute.distributed import Processes
from melanoma.images.store import ImageReader

IMAGES_AT_ONCE = 64


@dataclass(frozen=True)
class ResidentImages:
    """The images of the sorted `rows` (m,) of a store on a device, `pixels` uint8 (m, S, S, 3)."""

    rows: NDArray[np.int64]
    pixels: Tensor

    @classmethod
    def load(
        cls, store: ImageReader, rows: NDArray[np.int64], device: torch.device, processes: Processes
    ) -> "ResidentImages":
        """Copy the images of `rows` to `device`. One of the `processes` reads each image, once, and all get it."""
        rows = np.unique(rows)
        pixels = torch.empty(len(rows), store.size, store.size, 3, dtype=torch.uint8, device=device)
        read_here = processes.part(slice(0, len(rows)))
        for start in range(read_here.start, read_here.stop, IMAGES_AT_ONCE):
            part = slice(start, min(start + IMAGES_AT_ONCE, read_here.stop))
            pixels[part].copy_(torch.from_numpy(store.read(rows[part])))
        processes.share_parts(pixels)
        return cls(rows, pixels)

    def numbers(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the numbers of `rows`, which must be among the loaded ones, in `pixels`."""
        return np.searchsorted(self.rows, rows)
