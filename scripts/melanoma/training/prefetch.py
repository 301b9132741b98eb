"""Threads that load batches before they are needed, for as long as a training or a prediction lives.

Threads serve as well as processes: HDF5, OpenCV and NumPy release the interpreter while they read and compute. They
start in no time, share the open store, and no signal reaches them.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Protocol, Self

from melanoma.training.loader import Batch

AHEAD_OF_EACH_THREAD = 2


class Batches(Protocol):
    """Batches by number. Each is the same whenever and in whatever thread it is loaded."""

    def __getitem__(self, number: int) -> Batch:
        """Return a batch."""
        ...


class Prefetch:
    """Loads batches in `threads` threads, two for each thread ahead; with 0 threads, each when it is asked for.

    `pinned` batches are in pinned memory, from which a GPU copies while it computes. Leaving the context ends the
    threads and drops what is loaded.
    """

    def __init__(self, threads: int, pinned: bool) -> None:
        self.pinned = pinned
        self.ahead = AHEAD_OF_EACH_THREAD * threads
        self.pool = ThreadPoolExecutor(threads, "batches") if threads else None

    def __enter__(self) -> Self:
        """Return this object."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the threads."""
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)

    def stream(self, batches: Batches, numbers: Sequence[int]) -> Iterator[Batch]:
        """Return an iterator of the batches `numbers` in this order. The threads start on the first ones at once.

        An exception in loading a batch is raised where the batch is next.
        """
        if self.pool is None:
            return map(batches.__getitem__, numbers)
        remaining = iter(numbers)
        waiting = deque(self._submit(self.pool, batches, number) for number in islice(remaining, self.ahead))
        return self._results(self.pool, batches, remaining, waiting)

    def _results(
        self, pool: ThreadPoolExecutor, batches: Batches, remaining: Iterator[int], waiting: deque[Future[Batch]]
    ) -> Iterator[Batch]:
        while waiting:
            batch = waiting.popleft().result()
            waiting.extend(self._submit(pool, batches, number) for number in islice(remaining, 1))
            yield batch

    def _submit(self, pool: ThreadPoolExecutor, batches: Batches, number: int) -> Future[Batch]:
        return pool.submit(self._load, batches, number)

    def _load(self, batches: Batches, number: int) -> Batch:
        return batches[number].pin_memory() if self.pinned else batches[number]
