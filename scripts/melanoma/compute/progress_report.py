"""What a training tells while it runs: in the log, and as TensorBoard's curves."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from melanoma.common.cli import log
from melanoma.common.stopwatch import GpuFigures, Stopwatch

_imported = time.monotonic()


class EventFile:
    """A file of scalars for TensorBoard. Unlike that of torch's SummaryWriter, its name does not name the computer."""

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


Writer = EventFile | None


@contextmanager
def curves(folder: Path | None, epoch: int) -> Iterator[Writer]:
    """Write TensorBoard's curves to `folder` from `epoch` on, and hide what an earlier process wrote of later epochs.

    Without a folder there is no writer.
    """
    if folder is None:
        yield None
        return
    writer = EventFile(folder, epoch + 1)
    try:
        yield writer
    finally:
        writer.close()


def gpu_figures(stopwatch: Stopwatch, device: torch.device) -> GpuFigures:
    """Return the figures of the GPU for an epoch. A CPU has none, so that its history has the same bytes each time."""
    if device.type == "cpu":
        return {}
    return {
        "images_per_second": stopwatch.figures()["images_per_second"],
        "gpu_utilization": stopwatch.seconds["gpu"] / stopwatch.seconds["training"],
        "gpu_memory_gb": torch.cuda.max_memory_allocated(device) / 1e9,
    }


def report_epoch(epoch: int, epochs: int, row: Mapping[str, object], stopwatch: Stopwatch, writer: Writer) -> None:
    """Report the figures of `epoch` of `epochs`, and where its time went.

    The figures of an epoch are the float values of its `row` of the history.
    """
    figures = {name: value for name, value in row.items() if isinstance(value, float)}
    figures |= stopwatch.figures()
    log.info(
        "epoch %d of %d: %s",
        epoch,
        epochs,
        ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in figures.items()),
    )
    if writer is not None:
        writer.add(figures, epoch)


def report_best(best: int, row: Mapping[str, object], writer: Writer) -> None:
    """Report the best epoch, from 1, of a finished training, and the figures of its `row` on the validation images."""
    if writer is not None:
        named = {name: value for name, value in row.items() if name.startswith("validation_")}
        figures = {f"final/{name}": value for name, value in named.items() if isinstance(value, float)}
        writer.add({"final/best_epoch": best, **figures}, best)


def report_start(seconds: dict[str, float]) -> None:
    """Report where the time from the start of this process to its first training step went, by part."""
    parts = ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items())
    log.info("the first training step ended %.1f s after the start: %s", process_age(), parts)


def process_age() -> float:
    """Return how many seconds ago this process started, or on a system without /proc, this module was imported."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    except FileNotFoundError:
        return time.monotonic() - _imported
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
