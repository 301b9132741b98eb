"""One training at a time in a folder of checkpoints, on any file system that hosts share, with locks or without.

A training may start while an older one of the same folder runs: a scheduler has started its job again, or Snakemake was
killed and the same command given again. The new one asks for the folder. The old one saves a checkpoint, stops and
leaves the folder, and the new one goes on from there.

The owner's file names its process, and has a new time at each beat. So a new training waits neither for a process of
its own host that has ended, nor for one of another host, or one that hangs, without a beat in SILENCE seconds.
"""

import os
import threading
import uuid
from pathlib import Path
from time import monotonic
from time import sleep as wait

from melanoma.common.cli import log
from melanoma.common.files import write_text
from melanoma.common.processes import ProcessId
from melanoma.compute.preemption import Preempted

OWNER, REQUEST = "owner", "request"
SECONDS_BETWEEN_BEATS = 1.0
SILENCE = 90.0
TAKEN_OVER = "another job has taken over this training; this one stops."


class Ownership:
    """The right to write the checkpoints of one folder.

    `asked` becomes True when another training asks for the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked = False
        self._token = uuid.uuid4().hex
        self._released = threading.Event()

    def claim(self) -> None:
        """Own the folder, once the training before has left it or ended.

        Raises Preempted if a third training asks for the folder in the meantime.
        """
        write_text(self.folder / REQUEST, self._token)
        self._wait()
        write_text(self.folder / OWNER, f"{self._token}\n{ProcessId.current()}\n")
        threading.Thread(target=self._beat, daemon=True).start()

    def holds(self) -> bool:
        """Tell whether this training owns the folder."""
        return _first_line(self.folder / OWNER) == self._token

    def release(self) -> None:
        """Leave the folder to the next training."""
        self._released.set()
        for name in (REQUEST, OWNER):
            if _first_line(self.folder / name) == self._token:
                (self.folder / name).unlink(missing_ok=True)

    def _wait(self) -> None:
        before, silent_since, said = None, monotonic(), False
        while owner := _state(self.folder / OWNER):
            process = ProcessId.parse(owner[0].partition("\n")[2])
            if owner != before:
                before, silent_since = owner, monotonic()
            silent = monotonic() - silent_since > SILENCE
            if silent or process is None or process.is_gone() or process == ProcessId.current():
                return
            if not said:
                log.info("waiting until the training of %s has saved a checkpoint and stopped", process)
                said = True
            wait(SECONDS_BETWEEN_BEATS / 2)
            if self._is_asked():
                raise Preempted(f"{self.folder}: {TAKEN_OVER}")

    def _beat(self) -> None:
        while not self._released.wait(SECONDS_BETWEEN_BEATS):
            try:
                self.asked = self._is_asked() or not self.holds()
                if not self.asked:
                    os.utime(self.folder / OWNER)
            except OSError:  # a file system that does not answer for a moment
                continue

    def _is_asked(self) -> bool:
        """Tell whether another training asked for the folder after this one did."""
        return _first_line(self.folder / REQUEST) not in (self._token, None)


def _first_line(path: Path) -> str | None:
    state = _state(path)
    return state and state[0].partition("\n")[0]


def _state(path: Path) -> tuple[str, int] | None:
    """Return the content of a file and its time in ns, or None without the file. To open it asks a file server."""
    try:
        with path.open() as file:
            return file.read(), os.fstat(file.fileno()).st_mtime_ns
    except FileNotFoundError:
        return None
