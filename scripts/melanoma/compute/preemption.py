"""When training has to stop before its end: a signal came, or its time is nearly over."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

# Of sysexits.h: a failure that goes away by trying again, which is what a profile's retries do.
TRY_AGAIN = 75
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)
MARGIN, MOST_MARGIN = 0.1, 300.0
STARTING = 20.0
JOB_NUMBERS = ("SLURM_JOB_ID", "JOB_ID", "PBS_JOBID", "LSB_JOBID")
_imported = time.monotonic()


def margin(limit: float) -> float:
    """Return how many seconds before the end of `limit` seconds to leave."""
    return min(max(MARGIN * limit, min(STARTING, limit / 3)), MOST_MARGIN)


def scheduler_job() -> str | None:
    """Return the number of the scheduler's job that this process is in (Slurm, Grid Engine, PBS, LSF), or None."""
    return next((os.environ[name] for name in JOB_NUMBERS if name in os.environ), None)


class Preempted(Exception):
    """Training stopped before its end, after a checkpoint; the same command goes on from there."""


class Preemption:
    """Watches for signals, and for the end of the time of `limit` seconds since this process started.

    A scheduler kills what runs out of its time, often without a signal, so training leaves by its own clock: a tenth
    of the limit, at most five minutes, and as long as its longest step so far before the end. The scheduler's clock
    has run since before Snakemake started this process, so of short limits it is 20 seconds, or a third.
    """

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self.signal: signal.Signals | None = None
        self._longest, self._last = 0.0, time.monotonic()

    @contextmanager
    def watching(self) -> Iterator["Preemption"]:
        """Take the signals that schedulers send, instead of dying by them; give them back at the end."""
        before = {number: signal.signal(number, self._remember) for number in SIGNALS}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def reason(self) -> str | None:
        """Return why to stop now, or None. To be asked after every step, since it takes the time between."""
        now = time.monotonic()
        self._longest, self._last = max(self._longest, now - self._last), now
        if self.signal is not None:
            return f"signal {self.signal.name}"
        if self.limit is None:
            return None
        left = self.limit - (now - _imported) - margin(self.limit) - self._longest
        return f"the end of its {self.limit / 60:g} minutes" if left < 0 else None

    def _remember(self, number: int, _frame: object) -> None:
        self.signal = signal.Signals(number)
