"""What every table of results shares: how times are taken, and the machine and versions they were taken with."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("numpy", "scipy", "scikit-learn", "opencv-python-headless", "simplejpeg", "h5py", "torch", "torchvision")


def conditions(how: str) -> str:
    """Return a line with cores, processor, versions, and how it was measured."""
    cores = len(os.sched_getaffinity(0))
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"{cores} cores of {_processor()}; Python {platform.python_version()}, {versions}; {how}.\n"


def medians(functions: dict[str, Callable[[], object]], turns: int) -> dict[str, float]:
    """Return each function's median CPU time in ms; they take turns, so that a change of the machine meets all."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(turns + 1):
        for name, function in functions.items():
            start = time.thread_time()
            function()
            if turn:
                times[name].append((time.thread_time() - start) * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
