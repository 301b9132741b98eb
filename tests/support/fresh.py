"""Runs code in a process of its own, which has the project's modules and nothing of the test's but files."""

import os
from pathlib import Path

import quick


def fresh(folder: Path, code: str) -> None:
    """Run `code` in `folder` by a new process; it must succeed."""
    process = quick.fork(_execute, folder, code)
    process.join()
    assert process.exitcode == 0


def _execute(folder: Path, code: str) -> None:
    os.chdir(folder)
    exec(code, {})
