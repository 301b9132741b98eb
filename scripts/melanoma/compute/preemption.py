"""When training must stop before its end: after a signal, or when its time is nearly over."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

# EX_TEMPFAIL of sysexits.h: a failure that another try can cure. The profiles retry such a job.
TRY_AGAIN = 75
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)
MARGIN_SHARE, MAX_MARGIN, MIN_MARGIN = 0.1, 300.0, 20.0
JOB_NUMBERS = ("SLURM_JOB_ID", "JOB_ID", "PBS_JOBID", "LSB_JOBID")
_imported = time.monotonic()


def margin(limit: float) -> float:
    """Return how many seconds before the end of `limit` seconds training stops."""
    # The scheduler's clock runs from before Snakemake starts this process, so a short limit has a minimum too.
    return min(max(MARGIN_SHARE * limit, min(MIN_MARGIN, limit / 3)), MAX_MARGIN)


def scheduler_job() -> str | None:
    """Return the job number that the scheduler gave this process (Slurm, Grid Engine, PBS, LSF), or None."""
    return next((os.environ[name] for name in JOB_NUMBERS if name in os.environ), None)


def scheduled_end() -> float | None:
    """Return when Slurm ends this job, in seconds since the epoch; None where it does not tell, as Slurm 22.05."""
    end = os.environ.get("SLURM_JOB_END_TIME", "")
    return float(end) if end.isdecimal() else None


class Preempted(Exception):
    """Training stopped before its end, after a checkpoint. The same command continues it."""


class Preemption:
    """Watches for signals, and for the end of `limit` seconds since this process started; None is no limit.

    A scheduler kills a job at the end of its time, often without a signal. So training stops by its own clock, `margin`
    seconds and the time of its longest step before the end. Where Slurm tells the end of the job, the earlier one
    counts: the job began before this process, on a busy node by half a minute.
    """

    def __init__(self, limit: float | None) -> None:
        self.limit, self.end = limit, scheduled_end()
        self.signal: signal.Signals | None = None
        self._longest, self._last = 0.0, time.monotonic()

    @contextmanager
    def watching(self) -> Iterator["Preemption"]:
        """Remember the signals that schedulers send, and restore their handlers at the end."""
        before = {number: signal.signal(number, self._remember) for number in SIGNALS}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def reason(self) -> str | None:
        """Return why to stop now, or None. Call it after every step, because it measures the time between calls."""
        now = time.monotonic()
        self._longest, self._last = max(self._longest, now - self._last), now
        if self.signal is not None:
            return f"signal {self.signal.name}"
        if self.limit is None:
            return None
        left = self.limit - (now - _imported)
        if self.end is not None:
            left = min(left, self.end - time.time())
        stop = left < margin(self.limit) + self._longest
        return f"the end of its {self.limit / 60:g} minutes" if stop else None

    def _remember(self, number: int, _frame: object) -> None:
        self.signal = signal.Signals(number)
