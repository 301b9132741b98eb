"""Which code made a result."""

import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]


def commit() -> dict[str, Any] | None:
    """Return the git commit of the code and whether files differ from it; None outside a git checkout."""
    try:
        digest = _git("rev-parse", "HEAD")
        return {"digest": digest, "changed": bool(_git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
