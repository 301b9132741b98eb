"""A full disk is one plain message that names the file and what to do. Nothing that was written before is lost.

A limit of the size of files stands for the full disk: it refuses the same calls, and needs no root.
"""

import os
import resource
import subprocess
import sys
from pathlib import Path

from project import SCRIPTS

ROOM = 4000
TABLE = "pd.DataFrame({'a': np.random.default_rng(1).random(4000)})"
# What each stage writes, by the function that writes it; 32 kB at least, where there is room for 4.
WRITERS = {
    "json": "write_json(path, {'a': 'x' * 40_000})",
    "yaml": "write_yaml(path, {'a': 'x' * 40_000})",
    "parquet": f"write_parquet(path, {TABLE})",
    "csv": f"write_csv(path, {TABLE})",
    "html": "write_text(path, 'x' * 40_000)",
    "safetensors": "write_bytes(path, bytes(40_000))",
    "npz": "Embeddings(['a'], np.ones((1, 10_000), np.float32), {}).write(path)",
    "svg": "figure = plt.figure(); figure.gca().plot(np.random.default_rng(1).random(4000)); save(figure, path)",
}
IMPORTS = (
    "import numpy as np, pandas as pd",
    "from melanoma.common.cli import run",
    "from melanoma.common.files import *",
    "from melanoma.common.errors import InputError",
    "from pathlib import Path",
)
FIGURES_AND_FEATURES = (
    "from matplotlib import pyplot as plt",
    "from melanoma.models.embeddings import Embeddings",
    "from melanoma.figures.style import save",
)


def on_a_full_disk(folder: Path, *code: str) -> subprocess.CompletedProcess[str]:
    """Run lines of Python as a script of the workflow runs them, with room for files of 4 kB."""
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS), "MPLCONFIGDIR": str(folder)}
    limit = (ROOM, ROOM)
    return subprocess.run(
        [sys.executable, "-c", "\n".join(code)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
    )


def test_every_writer_says_so_and_keeps_the_file_that_was_there(tmp_path):
    for name in WRITERS:
        (tmp_path / f"file.{name}").write_text("before")
    calls = [
        f"try:\n    path = Path('file.{name}'); {call}\nexcept InputError as error:\n    print(error)"
        for name, call in WRITERS.items()
    ]
    done = on_a_full_disk(tmp_path, *IMPORTS, *FIGURES_AND_FEATURES, *calls)
    said = [
        f"file.{name} cannot be written: File too large. Free space or raise the quota, and give the same command"
        " again; what was written before is kept"
        for name in WRITERS
    ]
    assert done.stdout.splitlines() == said, done.stderr
    assert all((tmp_path / f"file.{name}").read_text() == "before" for name in WRITERS)
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_file_of_another_library_is_one_message_too(tmp_path):
    code = "def main(_):\n    while True:\n        Path('plain').open('ab').write(bytes(9000))"
    done = on_a_full_disk(tmp_path, *IMPORTS, code, "run(lambda _: None, main, '')")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1 and "ERROR a file cannot be written: File too large. Free space" in line
