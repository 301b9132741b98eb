"""Every bad image has its documented result, in less than 1 GB; preparation can be killed at any moment."""

import json
import os
import random
import re
import subprocess
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml

import quick
from bad_images import FINE, Doubt, corpus, jpeg, write_special
from project import SCRIPTS

SETTINGS = {"size": 64, "on_unreadable": "drop"}
# How often preparation is killed.
KILLS = int(os.environ.get("KILLS", "8"))
CORPUS = corpus()
MEASURE = """
import json, re, sys
import pandas as pd
from pathlib import Path
from melanoma.config.data import Images
from melanoma.images.shards import write_shard
catalog, shard, settings, quality = sys.argv[1:]
write_shard(Path(shard), pd.read_parquet(catalog), Images(**json.loads(settings)), 1).to_parquet(quality)
# A process inherits ru_maxrss from its parent, so it is not read.
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024)
"""


def catalog_of(files: dict[str, Path]) -> pd.DataFrame:
    return pd.DataFrame({"image": list(files), "file": [str(path) for path in files.values()]})


# One worker has the tests of the corpus, so that it is prepared once.
on_corpus = pytest.mark.xdist_group("corpus")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, int, Path]:
    """Prepare the corpus in a new process; return the quality table, the peak memory in bytes, and the shard."""
    folder = tmp_path_factory.mktemp("corpus")
    files = {name: folder / f"{name}.jpg" for name in CORPUS}
    for name, path in files.items():
        path.write_bytes(CORPUS[name][0])
    files |= {name: path for name, (path, _) in write_special(folder).items()}
    catalog_of(files).to_parquet(folder / "catalog.parquet")
    options = [folder / "catalog.parquet", folder / "shard.h5", json.dumps(SETTINGS), folder / "quality.parquet"]
    command = [sys.executable, "-c", MEASURE, *map(str, options)]
    result = subprocess.run(command, cwd=SCRIPTS, check=True, capture_output=True, text=True)
    return pd.read_parquet(folder / "quality.parquet").set_index("image"), int(result.stdout), folder / "shard.h5"


def test_the_corpus_has_enough_files_that_are_bad() -> None:
    assert sum(outcome is not FINE for _, outcome in CORPUS.values()) >= 40


@on_corpus
@pytest.mark.parametrize("name", CORPUS)
def test_a_file_has_its_documented_outcome(prepared: tuple[pd.DataFrame, int, Path], name: str) -> None:
    row, outcome = prepared[0].loc[name], CORPUS[name][1]
    assert row["featureless"] == isinstance(outcome, Doubt)
    if outcome is FINE:
        assert row["readable"] and pd.isna(row["problem"]), row["problem"]
    else:
        assert re.match(outcome, row["problem"]), row["problem"]
        assert row["readable"] == (not np.isnan(row["exposure"])) == isinstance(outcome, Doubt)
    assert len(row["sha256"]) == 64 and row["bytes"] == len(CORPUS[name][0])


@on_corpus
def test_what_is_no_file_has_its_documented_outcome(prepared: tuple[pd.DataFrame, int, Path], tmp_path: Path) -> None:
    for name, (_, problem) in write_special(tmp_path).items():
        assert prepared[0].loc[name, "problem"] == problem


@on_corpus
def test_the_whole_corpus_is_prepared_in_less_than_a_gigabyte(prepared: tuple[pd.DataFrame, int, Path]) -> None:
    assert prepared[1] < 10**9


@on_corpus
def test_the_shard_holds_the_readable_images_of_the_corpus(prepared: tuple[pd.DataFrame, int, Path]) -> None:
    quality, _, shard = prepared
    with h5py.File(shard) as file:
        assert file["image"].asstr()[:].tolist() == quality.index[quality["readable"]].tolist()


def start(folder: Path, output: Path) -> BaseProcess:
    """Start the script that prepares a shard and its quality table."""
    options = [
        *("--settings", folder / "images.yaml", "--catalog", folder / "catalog.parquet"),
        *("--shard", "0", "--shards", "1"),
        *("--output", output / "shard.h5", "--quality", output / "shard.parquet", "--processes", "2"),
    ]
    return quick.start("prepare_shard", *options)


def ended(process: BaseProcess) -> int | None:
    """Wait for the end of a process, and return its exit status."""
    process.join()
    return process.exitcode


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_killed_at_any_moment_and_run_again_the_store_is_the_same_bit_for_bit(tmp_path: Path) -> None:
    data, names = jpeg(), [f"i{number:04d}" for number in range(400)]
    (tmp_path / "image.jpg").write_bytes(data)
    catalog_of(dict.fromkeys(names, tmp_path / "image.jpg")).to_parquet(tmp_path / "catalog.parquet")
    (tmp_path / "images.yaml").write_text(yaml.safe_dump(SETTINGS | {"size": 128}))
    ended(start(tmp_path, tmp_path / "first"))  # also starts the server of quick.py, and takes longer
    began = time.monotonic()
    assert ended(start(tmp_path, tmp_path / "whole")) == 0
    taken = time.monotonic() - began
    moments, killed = random.Random(KILLS), 0
    for _ in range(KILLS):
        process = start(tmp_path, tmp_path / "killed")
        process.join(moments.uniform(0, 1.1) * taken)
        if process.is_alive():
            process.kill()
            killed += ended(process) == -9
        # A file with its final name is complete, whenever the process was killed.
        whole = contents(tmp_path / "whole")
        left = contents(tmp_path / "killed") if (tmp_path / "killed").exists() else {}
        assert all(whole[name] == value for name, value in left.items() if not name.startswith("."))
    assert killed, "no kill came before the end"
    assert ended(start(tmp_path, tmp_path / "killed")) == 0
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole"), "the same files, and nothing left behind"
