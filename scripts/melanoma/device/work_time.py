"""How long a device works on a step, told by events among its own work, so that the host waits for nothing."""

from types import TracebackType
from typing import Self

import torch


class WorkTime:
    """The time from the first to the last kernel that a GPU gets in a `with` block. On a CPU nothing is measured.

    A GPU that must wait for Python in the block counts as working; in a recorded step it need not wait.
    """

    def __init__(self, device: torch.device) -> None:
        self._events: tuple[torch.cuda.Event, torch.cuda.Event] | None = None
        if device.type == "cuda":
            first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            self._events = first, last

    def __enter__(self) -> Self:
        """Let the GPU note when it has done all that it got before the block."""
        if self._events is not None:
            self._events[0].record()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let the GPU note when it has done all that it got in the block."""
        if self._events is not None:
            self._events[1].record()

    def seconds(self) -> float:
        """Return the seconds, 0 on a CPU. The work must be over: read a Readback of later work first."""
        return 0.0 if self._events is None else self._events[0].elapsed_time(self._events[1]) / 1000
