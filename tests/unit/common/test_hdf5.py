"""Image stores are written, merged, read and drawn on a file system that refuses every lock."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import plot
import tiny
from in_process import call
from melanoma.common.errors import InputError
from melanoma.common.files import write_json, write_yaml
from melanoma.images.store import ImageStore
from project import ROOT
from small_store import SETTINGS, build, catalog

REFUSALS = {"ENOLCK": 37, "ENOTSUPP": 524}
COMPILER = shutil.which("cc") or shutil.which("gcc")
SHARDS = [f"shard-{shard}" for shard in range(2)]
# One Python for all scripts: each would import the same libraries.
ONE_AFTER_THE_OTHER = """
import json, runpy, sys
from pathlib import Path
for sys.argv in json.loads(sys.argv[1]):
    sys.path[0] = str(Path(sys.argv[0]).parent)
    runpy.run_path(sys.argv[0], run_name="__main__")
"""
Python = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that refuses locks."""
    if COMPILER is None or sys.platform != "linux":
        pytest.skip("needs Linux and a C compiler, for a library that refuses locks")
    path = tmp_path_factory.mktemp("library") / "refused_locks.so"
    source = ROOT / "tests" / "support" / "refused_locks.c"
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", path, source, "-ldl"], check=True)
    return path


@pytest.fixture(params=REFUSALS.values(), ids=REFUSALS.keys())
def python(request: pytest.FixtureRequest, library: Path, tmp_path: Path) -> Python:
    """Runs Python in the folder of the test, where every lock is refused."""
    refused = {"LD_PRELOAD": str(library), "LOCK_ERRNO": str(request.param)}
    environment = {name: value for name, value in os.environ.items() if name != "HDF5_USE_FILE_LOCKING"}

    def start(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, env=environment | refused, capture_output=True, text=True)

    return start


@pytest.mark.parametrize("lock", ["fcntl.flock(f, 2)", "fcntl.lockf(f, 2)", "h5py.File('x.h5', 'w')"])
def test_here_every_lock_is_refused(python: Python, lock: str) -> None:
    done = python("-c", f"import fcntl, h5py; f = open('x', 'w'); {lock}")
    assert done.returncode == 1 and re.search(r"OSError: \[Errno (37|524)\]", done.stderr), done.stderr


def write_tables(folder: Path) -> None:
    """Write the tables that figures need: train, the counts of the test by the audit, and a history."""
    rows = np.arange(10)
    patients = [f"IP_{row}" for row in rows]
    pd.DataFrame({"row": rows, "target": rows % 2, "fold": rows % 2, "patient": patients}).to_parquet(
        folder / "train.parquet"
    )
    counts = {"images": 4, "melanomas": 2, "patients": 4, "melanoma_patients": 2}
    write_json(folder / "audit.json", {"checked": {"test": counts}, "unit": "patient"})
    columns = "epoch,learning_rate,train_loss,train_auroc,validation_loss,validation_auroc"
    (folder / "history.csv").write_text(f"{columns}\n1,0.1,0.7,0.5,0.7,0.5\n")


def test_a_store_is_written_joined_read_and_drawn_without_a_lock(python: Python, tmp_path: Path) -> None:
    table = catalog(tmp_path)
    table.to_parquet(tmp_path / "catalog.parquet")
    write_tables(tmp_path)
    write_yaml(tmp_path / "images.yaml", SETTINGS.dump())
    tiny.write_recipe(tmp_path / "cnn.yaml")

    scripts: list[list[str]] = []

    def add(script: str, *options: object) -> None:
        scripts.append([str(ROOT / "scripts" / f"{script}.py"), *map(str, options)])

    for number, shard in enumerate(SHARDS):
        options = (
            "--settings",
            "images.yaml",
            "--catalog",
            "catalog.parquet",
            "--shard",
            number,
            "--shards",
            len(SHARDS),
        )
        add("prepare_shard", *options, "--output", f"{shard}.h5", "--quality", f"{shard}.parquet")
    shards = ("--shards", *(f"{shard}.h5" for shard in SHARDS))
    qualities = ("--qualities", *(f"{shard}.parquet" for shard in SHARDS))
    files = ("--output", "images.h5", "--quality", "quality.parquet", "--shard-count", "shards.txt")
    add("merge_shards", *shards, *qualities, *files)
    common = ("--train", "train.parquet", "--images", "images.h5", "--output", ".")
    add("plot", "data", *common, "--audit", "audit.json")
    add("plot", "training", *common, "--histories", "cnn:fold-0=history.csv", "--recipes", "cnn=cnn.yaml")
    done = python("-c", ONE_AFTER_THE_OTHER, json.dumps(scripts))
    assert done.returncode == 0, done.stderr

    elsewhere = ImageStore(build(tmp_path / "elsewhere", table, len(SHARDS)))
    np.testing.assert_array_equal(ImageStore(tmp_path / "images.h5").read(range(10)), elsewhere.read(range(10)))
    for figure in ("samples.png", "augmentation/cnn.png"):
        assert (tmp_path / figure).read_bytes().startswith(b"\x89PNG")


def test_samples_of_a_missing_shard_are_an_error_and_no_black_images(tmp_path: Path) -> None:
    store = build(tmp_path, catalog(tmp_path), shards=4)
    write_tables(tmp_path)
    shard = store.parent / "shards" / "shard-002.h5"
    shard.unlink()
    options = ("--images", store, "--train", tmp_path / "train.parquet", "--audit", tmp_path / "audit.json")
    with pytest.raises(InputError, match=rf"{shard}: no such image store"):
        call(plot, "data", *options, "--output", tmp_path)
    assert not (tmp_path / "samples.png").exists()


def test_hdf5_files_are_opened_in_one_module_alone() -> None:
    code = [path for folder in ("scripts", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    assert [path.name for path in code if "h5py.File(" in path.read_text()] == ["hdf5.py"]
