"""Processes of this and other hosts, and the end of a job whose Snakemake has ended.

Snakemake names itself in the environment of its jobs, and in its lock (melanoma.snakefile.locks). If it is killed, its
jobs would run on, beside those that the same command starts again. So each job watches for its end.
"""

import logging
import os
import signal
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger("melanoma")
SNAKEMAKE = "MELANOMA_SNAKEMAKE"
LOCKS = Path(".snakemake/locks")
SECONDS_BETWEEN_LOOKS = 2.0
# A clock that is set anew moves the start of a process.
MAX_CLOCK_CHANGE = 5.0


@dataclass(frozen=True)
class ProcessId:
    """A process: its host, its number there, and its start (epoch, s). Numbers are used again, starts are not."""

    host: str
    number: int
    started: float

    @classmethod
    def current(cls) -> "ProcessId":
        """Return this process."""
        import psutil  # doctor.py runs without any package, to say what is missing

        return cls(socket.gethostname(), os.getpid(), round(psutil.Process().create_time(), 2))

    @classmethod
    def parse(cls, text: str) -> "ProcessId | None":
        """Return the process whose text is `text`; None for any other text."""
        host, _, rest = text.strip().rpartition(" process ")
        number, _, started = rest.partition(" since ")
        try:
            return cls(host, int(number), float(started)) if host else None
        except ValueError:
            return None

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        return f"{self.host} process {self.number} since {self.started:.2f}"

    def is_gone(self) -> bool:
        """Tell whether the process is known to have ended. Of another host, nothing is known."""
        if self.host != socket.gethostname():
            return False
        import psutil

        try:
            process = psutil.Process(self.number)
            known = abs(process.create_time() - self.started) < MAX_CLOCK_CHANGE
            return not known or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True


def lock_owners() -> dict[Path, ProcessId]:
    """Return the Snakemake that holds each lock of the current folder, if the lock names it."""
    owners = {}
    for path in LOCKS.glob("*.lock"):
        try:
            with path.open() as file:
                owner = ProcessId.parse(file.readline())
        except FileNotFoundError:  # released in this moment
            continue
        if owner:
            owners[path] = owner
    return owners


def is_orphan() -> bool:
    """Tell whether the Snakemake of this job has ended: its process is gone, or its lock of the current folder."""
    snakemake = ProcessId.parse(os.environ.get(SNAKEMAKE, ""))
    return snakemake is not None and (snakemake.is_gone() or snakemake not in lock_owners().values())


def end_with_snakemake() -> None:
    """Send SIGTERM to this process as soon as its Snakemake has ended. Without Snakemake, do nothing."""
    if SNAKEMAKE in os.environ:
        threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    looks = 0
    while looks < 2:  # a shared file system may not show a lock for a moment
        try:
            looks = looks + 1 if is_orphan() else 0
        except OSError:
            looks = 0
        time.sleep(SECONDS_BETWEEN_LOOKS)
    log.warning("the Snakemake of this job (%s) has ended, so this job ends", os.environ[SNAKEMAKE])
    os.kill(os.getpid(), signal.SIGTERM)
