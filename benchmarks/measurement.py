"""What all benchmarks share: times, peak memory, the machine and the versions, and the page of results.

An import of this module makes the package melanoma importable, so import it first.
"""

import argparse
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

PACKAGES = ("numpy", "scipy", "scikit-learn", "opencv-python-headless", "simplejpeg", "h5py", "torch", "torchvision")


class Stopwatch:
    """Measures the body of a `with`: `wall` and `cpu` are its seconds on the clock and of the processor."""

    def __enter__(self) -> Self:
        """Start."""
        self.wall, self.cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.wall, self.cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu


def peak_memory() -> float:
    """Return the peak memory of this process so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def medians(functions: dict[str, Callable[[], object]], turns: int) -> dict[str, float]:
    """Return the median CPU time of each function in ms.

    The functions take turns, so that a change of the machine affects all of them. The first turn does not count.
    """
    times: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(turns + 1):
        for name, function in functions.items():
            start = time.thread_time()
            function()
            if turn:
                times[name].append((time.thread_time() - start) * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser whose help is the docstring of a benchmark."""
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def conditions(how: str) -> str:
    """Return a line with the cores, the processor, the versions, and how the times were measured."""
    cores = len(os.sched_getaffinity(0))
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"{cores} cores of {_processor()}; Python {platform.python_version()}, {versions}; {how}.\n"


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def publish(path: Path, *parts: str) -> None:
    """Write the parts of a page of results and print them."""
    from melanoma.common.files import write_text

    write_text(path, "\n".join(parts))
    print(path.read_text())


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
