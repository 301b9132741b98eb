"""A full disk leaves no compiled module that is cut short: the same command works when there is room again."""

import resource
import shutil
import subprocess
import sys
from pathlib import Path

from project import SCRIPTS

ROOM = 4000
CODE = "import melanoma.common.files, melanoma.config.study"


def imports(folder: Path, room: int) -> subprocess.CompletedProcess[str]:
    """Import modules of a copy of the library in `folder`, with room for files of so many bytes."""
    return subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=folder,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )


def sizes(folder: Path) -> list[int]:
    """Return the bytes of each compiled module."""
    return [path.stat().st_size for path in folder.rglob("*.pyc")]


def test_a_module_that_was_compiled_on_a_full_disk_is_imported_later(tmp_path: Path) -> None:
    shutil.copytree(SCRIPTS / "melanoma", tmp_path / "melanoma", ignore=shutil.ignore_patterns("__pycache__"))
    full = imports(tmp_path, ROOM)
    assert full.returncode == 0, full.stderr
    assert 0 < max(sizes(tmp_path)) < ROOM
    later = imports(tmp_path, resource.RLIM_INFINITY)
    assert later.returncode == 0, later.stderr
    assert max(sizes(tmp_path)) > ROOM
