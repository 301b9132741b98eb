"""Measures what share of each stage's CPU time the SHA-256 of its files takes, in one run of each script.

python benchmarks/checks.py --results results/tiny --output benchmarks/results/checks.md

The folder must hold the finished study. The first job of each rule runs again in a copy. The checksums of HDF5 and
Parquet themselves cannot be told from the reading, and are not counted.
"""

import argparse
import json
import runpy
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measurement import conditions, markdown, publish

from melanoma.common import files
from melanoma.common.cli import log, run
from melanoma.common.files import read_json

CHECKS = ("intact", "with_digest", "sha256")
CHECKOUT = Path(__file__).parents[1]
COLUMNS = ["rule", "checks, CPU ms", "job, CPU s", "share"]


def describe(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--results", type=Path, required=True, help="the results of a finished study")
    parser.add_argument("--rules", nargs="+", help="rules to measure; all without it")
    parser.add_argument("--output", type=Path, required=True)


def main(args: argparse.Namespace) -> None:
    """Measure each rule, the dearest checks first."""
    outputs = read_json(args.results / "record.json")["outputs"]
    jobs = {each["made_by"]["rule"]: each["made_by"]["shellcmd"] for each in outputs.values()}
    measured = []
    for rule in args.rules or sorted(jobs):
        made = [path for path, each in outputs.items() if each["made_by"]["shellcmd"] == jobs[rule]]
        checks, whole = measure(args.results, shlex.split(jobs[rule]), made)
        log.info("%s: %.1f ms of %.2f s", rule, 1000 * checks, whole)
        measured.append((checks / whole, rule, checks, whole))
    rows = [[rule, f"{1000 * checks:.1f}", f"{whole:.2f}", f"{share:.2%}"] for share, rule, checks, whole in measured]
    rows.sort(key=lambda row: -float(row[-1].rstrip("%")))
    how = "one run of one job of each rule, with its start; both figures are of the same run"
    publish(args.output, f"# Checks of the files of {args.results.name}\n", conditions(how), markdown(COLUMNS, rows))


def measure(results: Path, command: list[str], made: list[str]) -> tuple[float, float]:
    """Run a job again in a copy of its study; return the CPU seconds of its checks, and all its CPU seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(results, folder / "results" / results.name)
        for each in ("scripts", "rules", "report", "tests", "benchmarks"):
            (folder / each).symlink_to(CHECKOUT / each)
        for path in map(folder.joinpath, made):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        code = "import sys; sys.path[:0] = ['benchmarks', 'scripts']; import checks; checks.run_timed()"
        done = subprocess.run(
            [sys.executable, "-c", code, *command[1:]], cwd=folder, check=True, stdout=subprocess.PIPE, text=True
        )
        checks, whole = json.loads(done.stdout.splitlines()[-1])
        return checks, whole


def run_timed() -> None:
    """Run the script of the command line; print the CPU seconds of its checks, and all its CPU seconds, as JSON."""
    spent = [0.0]
    for name in CHECKS:
        setattr(files, name, timed(getattr(files, name), spent))
    sys.argv = sys.argv[1:]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        print(json.dumps([spent[0], time.process_time()]))


def timed(function: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    """Return a function that adds its CPU seconds to the only item of `spent`."""

    def measured(*args: Any) -> Any:
        start = time.thread_time()
        try:
            return function(*args)
        finally:
            spent[0] += time.thread_time() - start

    return measured


if __name__ == "__main__":
    run(describe, main, __doc__)
