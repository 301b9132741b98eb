"""The training images in the memories of several GPUs together, where they fit on none of them alone.

Each process holds a part. In each step, every image of the batch goes once from the process that holds it to the one
that needs it. All processes know the order of an epoch, so none has to ask another for an image.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from melanoma.compute.distributed import Processes, contiguous_part
from melanoma.device.resident import ResidentImages
from melanoma.images.store import ImageReader


@dataclass(frozen=True)
class Exchange:
    """How the images of a batch come from the `processes` that hold them.

    This process sends `sent[p]` images to process p, and receives `received[p]` from it. `places` (n,) int64 are the
    numbers of the batch's images among the received ones.
    """

    processes: Processes
    sent: list[int]
    received: list[int]
    places: Tensor

    def pin_memory(self) -> "Exchange":
        """Return the same in pinned memory."""
        return replace(self, places=self.places.pin_memory())

    def __call__(self, images: Tensor) -> Tensor:
        """Send `images`, those for process 0 first, and return those of the batch. All processes must call it.

        Processes that call other collective functions in another order wait for each other, so no thread that loads
        batches may call it.
        """
        received = self.processes.exchange(images, self.sent, self.received)
        return received.index_select(0, self.places.to(images.device, non_blocking=True))


@dataclass(frozen=True)
class ShardedImages:
    """The images of the sorted `rows` (m,) of a store, on the devices of all `processes` together.

    The parts are contiguous. `pixels` uint8 (k, S, S, 3) is the one of this process.
    """

    rows: NDArray[np.int64]
    pixels: Tensor
    processes: Processes

    @classmethod
    def load(
        cls, store: ImageReader, rows: NDArray[np.int64], device: torch.device, processes: Processes
    ) -> "ShardedImages":
        """Copy this process's part of the images of `rows` to `device`."""
        rows = np.unique(rows)
        part = rows[processes.part(slice(0, len(rows)))]
        return cls(rows, ResidentImages.load(store, part, device, Processes()).pixels, processes)

    def exchange(self, needed: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.int64], Exchange]:
        """Return the numbers in `pixels` of the images to send, and how they are exchanged.

        `needed` has the rows that each process needs, which must be among the loaded ones. A process gets each image
        once, in the order of the rows, also if it needs it several times.
        """
        rank, count = self.processes.rank, self.processes.count
        parts = [contiguous_part(slice(0, len(self.rows)), number, count) for number in range(count)]
        places = np.unique(needed[rank], return_inverse=True)[1]
        wanted = [np.searchsorted(self.rows, np.unique(rows)) for rows in needed]
        start, stop = parts[rank].start, parts[rank].stop
        sent = [numbers[(start <= numbers) & (numbers < stop)] - start for numbers in wanted]
        bounds = np.searchsorted(wanted[rank], [0, *(part.stop for part in parts)]).tolist()
        received = [stop - start for start, stop in pairwise(bounds)]
        return np.concatenate(sent), Exchange(
            self.processes, [len(numbers) for numbers in sent], received, torch.from_numpy(places)
        )
