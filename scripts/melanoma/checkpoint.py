"""Checkpoints that survive being killed at any moment and notice any damage.

A checkpoint is one file: the SHA-256 of the rest in hexadecimal and a line feed, then what torch.save wrote.
torch.load alone loads most bit-flipped files without an error. Files are written whole or not at all, the newest three
are kept, and the newest good one of the same stamp is used.
"""

import hashlib
import io
from pathlib import Path
from typing import Any

import torch

from melanoma.command import log
from melanoma.files import write_bytes

KEPT = 3
_HEADER = 65


class Checkpoints:
    """The checkpoints in one folder that belong to one `stamp`: a hash of all that the training depends on."""

    def __init__(self, folder: Path, stamp: str) -> None:
        self.folder, self.stamp = folder, stamp

    def save(self, state: dict[str, Any], step: int) -> None:
        """Write `state`, which is the state after optimiser step `step`, and drop all but the newest three."""
        payload = serialise({"stamp": self.stamp, "step": step, "state": state})
        write_bytes(self.folder / f"step-{step:09d}.pt", hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload)
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
        """Remove all checkpoints, once their training is finished."""
        for path in self._newest_first():
            path.unlink()
        if self.folder.is_dir():
            for left_over in self.folder.iterdir():
                left_over.unlink()
            self.folder.rmdir()

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("step-*.pt"), reverse=True)


def serialise(content: Any) -> bytes:
    """Return what torch.save writes for `content`; the same content gives the same bytes."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def _verified(path: Path) -> bytes | None:
    data = path.read_bytes()
    header, payload = data[:_HEADER], data[_HEADER:]
    return payload if header == hashlib.sha256(payload).hexdigest().encode() + b"\n" else None
