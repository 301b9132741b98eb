"""Runs code in a process of its own, which has the project's modules and nothing of the test's but files."""

import os
import subprocess
import sys
from pathlib import Path

from project import SCRIPTS


def fresh(folder: Path, code: str) -> None:
    """Run `code` in `folder` by a new Python; it must succeed."""
    env = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
