"""Where the time of an epoch went."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypedDict, TypeVar

from melanoma.common.cli import log

Item = TypeVar("Item")
# Above this share of an epoch, the loading of data holds back the training.
SLOW_DATA = 0.1


class GpuFigures(TypedDict, total=False):
    """What a GPU did in the training part of an epoch, and the greatest memory that it needed so far; empty on a CPU.

    `gpu_utilization` is the share of the time in which the GPU worked on steps.
    """

    images_per_second: float
    gpu_utilization: float
    gpu_memory_gb: float


class Stopwatch:
    """Adds up the seconds of named parts of an epoch: data (waiting for a batch), training, validation, checkpoint.

    Data is a part of training, and so is gpu, in which a GPU worked on steps. `images` counts the images of the
    training.
    """

    def __init__(self) -> None:
        self.images = 0
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def timing(self, part: str) -> Iterator[None]:
        """Add the time of the block to a part."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[part] += time.monotonic() - start

    def waiting(self, part: str, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items, and add to a part the time until each is there."""
        iterator = iter(items)
        while True:
            with self.timing(part):
                item = next(iterator, None)
            if item is None:
                return
            yield item

    def figures(self) -> dict[str, float]:
        """Return the speed of the training, and the seconds of the parts."""
        return {
            "images_per_second": self.images / self.seconds["training"],
            "data_share": self.data_share(),
            "validation_seconds": self.seconds["validation"],
            "checkpoint_seconds": self.seconds["checkpoint"],
        }

    def data_share(self) -> float:
        """Return the share of the training in which it waited for data."""
        return self.seconds["data"] / self.seconds["training"]

    def report_slow_data(self) -> None:
        """Say so in the log if a GPU waited too long for data."""
        if self.data_share() > SLOW_DATA:
            log.info(
                "the GPU waited for data in %.0f%% of the epoch: raise resources.threads, or prepare smaller images"
                " (images.size)",
                100 * self.data_share(),
            )
