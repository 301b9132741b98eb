"""Checkpoints that survive being killed at any moment and notice any damage.

A checkpoint is one file: the SHA-256 of the rest in hexadecimal and a line feed, then what torch.save wrote.
torch.load alone loads most bit-flipped files without an error. Files are written whole or not at all, the newest three
are kept, and the newest good one of the same stamp is used.

A scheduler can start a job again while the old one still runs. The one that came last owns the folder; the other finds
that out before it writes, and stops.
"""

import hashlib
import io
import shutil
import uuid
from pathlib import Path
from typing import Any

import torch

from melanoma.common.cli import log
from melanoma.common.errors import InputError
from melanoma.common.files import write_bytes, write_text

KEPT = 3
_HEADER = 65
_OWNER = "owner"


class Checkpoints:
    """The checkpoints in one folder that belong to one `stamp`: a hash of all that the training depends on."""

    def __init__(self, folder: Path, stamp: str) -> None:
        self.folder, self.stamp = folder, stamp
        self.token = uuid.uuid4().hex

    def claim(self) -> None:
        """Own the folder from now on: another job that still trains the same stops at its next checkpoint."""
        write_text(self.folder / _OWNER, self.token)

    def save(self, state: dict[str, Any], step: int) -> None:
        """Write `state`, which is the state after optimizer step `step`, and drop all but the newest three.

        Raises InputError where another job has claimed the folder, or where it cannot be written, by which nothing that
        was saved before is lost.
        """
        self._check_owner()
        payload = serialize({"stamp": self.stamp, "step": step, "state": state})
        path = self.folder / f"step-{step:09d}.pt"
        try:
            write_bytes(path, hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload)
        except OSError as error:
            raise InputError(
                f"The checkpoint {path} of {len(payload) / 1e6:.0f} MB cannot be written: {error.strerror}. Those"
                " before it are kept. Make room or raise the quota; the same command then goes on from the newest."
            ) from error
        for old in self._newest_first()[KEPT:]:
            old.unlink(missing_ok=True)

    def load(self) -> dict[str, Any] | None:
        """Return the newest good state of this stamp, or None."""
        for path in self._newest_first():
            payload = _verified(path)
            if payload is None:
                log.warning("%s is damaged; trying the checkpoint before it", path)
                continue
            content = torch.load(io.BytesIO(payload), weights_only=True)
            if content["stamp"] != self.stamp:
                log.warning("%s belongs to another recipe, data or split; not used", path)
                continue
            log.info("going on from %s", path)
            return content["state"]
        return None

    def clear(self) -> None:
        """Remove the folder, once its training is finished, unless another job has claimed it."""
        if self._owner() == self.token:
            shutil.rmtree(self.folder)

    def _check_owner(self) -> None:
        if self._owner() != self.token:
            raise InputError(f"{self.folder}: another job has taken over this training; this one stops.")

    def _owner(self) -> str | None:
        try:
            return (self.folder / _OWNER).read_text()
        except FileNotFoundError:
            return None

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("step-*.pt"), reverse=True)


def serialize(content: Any) -> bytes:
    """Return what torch.save writes for `content`; the same content gives the same bytes."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def _verified(path: Path) -> bytes | None:
    data = path.read_bytes()
    header, payload = data[:_HEADER], data[_HEADER:]
    return payload if header == hashlib.sha256(payload).hexdigest().encode() + b"\n" else None
