"""Each stage on a full disk: one plain message that names the file and the cure; no file is lost or half written.

A limit of the size of files stands for the full disk: it refuses the same calls, and needs no root.
"""

import shlex
import shutil
from pathlib import Path

import pytest

import quick
from melanoma.common.files import sha256
from melanoma.predictions.test_access_log import read_access_log

pytestmark = pytest.mark.xdist_group("finished")
ROOM = 4000
CURE = "cannot be written: File too large. Free space or raise the quota, and give the same command again"
ACCESS_LOG = "test_access_log.jsonl"
NO_RESULTS = (ACCESS_LOG, "owner", "request")
# The log of a job of each stage, and the bytes of the largest file that it can write.
STAGES = {
    "prepare_shard/000": ROOM,
    "find_near_duplicates": 1000,
    "split_study": ROOM,
    "train/baseline_cnn-*/fold-0": ROOM,
    "predict/cnn": ROOM,
    "predict_tabular/logistic": ROOM,
    "fuse/stacked": ROOM,
    "evaluate": ROOM,
    "write_report": ROOM,
}


def command(log: Path) -> list[str]:
    """Return the command of a job, which is in the first line of its log: the script and its options."""
    return shlex.split(log.read_text().splitlines()[0].split("DEBUG python ")[1])


def on_a_full_disk(folder: Path, script: str, options: list[str], room: int) -> str:
    """Run a script in a folder with room for files of so many bytes; return its only warning or error."""
    process = quick.start(script, *options, folder=folder, largest_file=room)
    process.join()
    assert process.exitcode == 1
    log = (folder / options[options.index("--log") + 1]).read_text()
    (message,) = [line for line in log.splitlines() if " INFO " not in line and " DEBUG " not in line]
    return message


def contents(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of results; neither the access log nor the names of who trains are results."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in NO_RESULTS]
    return {str(path.relative_to(folder)): sha256(path.read_bytes()) for path in files}


@pytest.fixture
def project(finished, tmp_path: Path) -> Path:
    """A folder with the results of the tiny study."""
    shutil.copytree(finished[0] / "results/tiny", tmp_path / "results/tiny")
    return tmp_path


@pytest.mark.parametrize("job", STAGES)
def test_a_stage_says_so_in_one_message_and_keeps_all_files(finished, project: Path, job: str) -> None:
    (log,) = (finished[0] / "logs/tiny").glob(f"{job}.log")
    script, *options = command(log)
    before = contents(project / "results/tiny")
    message = on_a_full_disk(project, Path(script).stem, options, STAGES[job])
    assert " ERROR results/tiny/" in message and CURE in message
    assert contents(project / "results/tiny") == before
    assert not [line for line in read_access_log(project / "results/tiny" / ACCESS_LOG) if "damaged" in line]


def test_a_bundle_is_none_without_all_its_files(project: Path) -> None:
    options = ["--results", "results/tiny", "--model", "cnn", "--output", "bundle", "--log", "bundle.log"]
    message = on_a_full_disk(project, "bundle", options, ROOM)
    assert " ERROR bundle/" in message and CURE in message
    assert not (project / "bundle/bundle.json").exists() and not list((project / "bundle").rglob("*.tmp"))
