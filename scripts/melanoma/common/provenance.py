"""The version of the code, for the results that it computes."""

import subprocess
from pathlib import Path
from typing import TypedDict

ROOT = Path(__file__).parents[3]


class Commit(TypedDict):
    """The state of the code: the hash of its git commit, and whether a file differs from that commit."""

    digest: str
    changed: bool


def commit() -> Commit | None:
    """Return the state of the code; None outside a git checkout."""
    try:
        digest = _git("rev-parse", "HEAD")
        return {"digest": digest, "changed": bool(_git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str) -> str:
    # Without it, git would update its index, and leave a lock in the checkout if the job is killed meanwhile.
    command = ["git", "--no-optional-locks", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
