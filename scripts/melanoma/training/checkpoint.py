"""Checkpoints that survive a kill at any moment, and whose damage is noticed.

A checkpoint is one file: the SHA-256 of the rest in hexadecimal, a line feed, and the bytes of torch.save. (torch.load
alone reads most files with flipped bits without an error.) A file is written whole or not at all. The newest three are
kept, and the newest one that is intact and has the right stamp is used.

One training at a time owns the folder (melanoma.training.ownership).
"""

import io
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from melanoma.common.cli import log
from melanoma.common.errors import InputError
from melanoma.common.files import read_sealed, write_sealed
from melanoma.training.ownership import OWNER, REQUEST, TAKEN_OVER, Ownership

MAX_CHECKPOINTS = 3
State = TypeVar("State")


class Checkpoints(Generic[State]):
    """The checkpoints in one folder that belong to one `stamp`: a hash of all that the training depends on."""

    def __init__(self, folder: Path, stamp: str) -> None:
        self.folder, self.stamp = folder, stamp
        self.ownership = Ownership(folder)

    def save(self, state: State, step: int) -> None:
        """Write `state`, the state after optimizer step `step`, and delete all but the newest three.

        Raises InputError if another process owns the folder, or if the disk is full. Earlier checkpoints are then kept.
        """
        if not self.ownership.holds():
            raise InputError(f"{self.folder}: {TAKEN_OVER}")
        payload = serialize({"stamp": self.stamp, "step": step, "state": state})
        path = self.folder / f"step-{step:09d}.pt"
        write_sealed(path, payload)
        for old in self._newest_first()[MAX_CHECKPOINTS:]:
            old.unlink(missing_ok=True)

    def load(self) -> State | None:
        """Return the newest intact state of this stamp, or None."""
        for path in self._newest_first():
            payload = read_sealed(path)
            if payload is None:
                log.warning("%s is damaged; trying the checkpoint before it", path)
                continue
            content = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
            if content["stamp"] != self.stamp:
                log.warning("%s belongs to another recipe, data or split; it is not used", path)
                continue
            log.info("continuing from %s", path)
            state: State = content["state"]
            return state
        return None

    def clear(self) -> None:
        """Delete the folder at the end of the training, unless another process owns it or waits for it."""
        if self.ownership.holds():
            for path in self.folder.iterdir():
                if path.name not in (OWNER, REQUEST):
                    path.unlink()
            self.ownership.release()
            with suppress(OSError):
                self.folder.rmdir()

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("step-*.pt"), reverse=True)


def serialize(content: Any) -> bytes:
    """Return the bytes that torch.save writes for `content`; the same content gives the same bytes."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()
