"""What a training tells while it runs: in the log, and as TensorBoard's curves."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch

from melanoma.common.cli import log
from melanoma.common.stopwatch import GpuFigures, Stopwatch
from melanoma.compute.event_file import EventFile

Writer = EventFile | None
_imported = time.monotonic()


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
