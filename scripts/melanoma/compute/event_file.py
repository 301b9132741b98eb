"""Scalars for TensorBoard, in files that do not name the computer."""

import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter


class EventFile:
    """A file of scalars. Unlike that of torch's SummaryWriter, its name does not name the computer."""

    def __init__(self, folder: Path, step: int) -> None:
        """Open a new file in `folder`. TensorBoard hides what earlier files there have of `step` and later."""
        folder.mkdir(parents=True, exist_ok=True)
        self._records = RecordWriter((folder / f"events.out.tfevents.{time.time():.6f}").open("xb"))
        self._write(Event(step=step, file_version="brain.Event:2"))
        self._write(Event(step=step, session_log=SessionLog(status=SessionLog.START)))

    def add(self, scalars: Mapping[str, float], step: int) -> None:
        """Write `scalars` of a step by name, so that TensorBoard shows them at once."""
        values = [Summary.Value(tag=name, simple_value=value) for name, value in scalars.items()]
        self._write(Event(step=step, summary=Summary(value=values)))
        self._records.flush()

    def close(self) -> None:
        """Close the file."""
        self._records.close()

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())


def replace_scalars(folder: Path, scalars: Mapping[str, Mapping[str, float]]) -> None:
    """Write scalars to FOLDER/NAME by name, in place of all that this function wrote to `folder` before."""
    for earlier in folder.glob("*/events.out.tfevents.*"):
        earlier.unlink()
    for name, values in scalars.items():
        file = EventFile(folder / name, 0)
        file.add(values, 0)
        file.close()
