"""What every table of results states: the machine and the versions it was measured with."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("numpy", "opencv-python-headless", "simplejpeg", "h5py", "torch", "torchvision")


def conditions(how: str) -> str:
    """Return a line with cores, processor, versions, and how it was measured."""
    cores = len(os.sched_getaffinity(0))
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"{cores} cores of {_processor()}; Python {platform.python_version()}, {versions}; {how}.\n"


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
