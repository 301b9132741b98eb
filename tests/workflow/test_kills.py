"""Snakemake is killed, as by a power loss: the same command goes on, and ends in the same bits."""

import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from kills import KILLS, OPTIONS, TrainingWatch, assert_same_bits_after_kills
from workflow import SNAKEMAKE, TINY_EXTERNAL, clone, failing, snakemake

SUBMIT = "#!/bin/sh\nsetsid sh $1 > /dev/null 2>&1 &\necho $!\n"
# The job of a scheduler has a process group of its own, and a Snakemake of its own.
SCHEDULER = (
    "--jobs",
    2,
    "--executor",
    "cluster-generic",
    "--cluster-generic-submit-cmd",
    "./submit",
    "--latency-wait",
    5,
)
LOCAL = ("--cores", 2)
pytestmark = pytest.mark.xdist_group("finished")


def started(folder: Path, *options: object) -> subprocess.Popen[bytes]:
    """Start snakemake in `folder`; what it prints is in the file printed.txt there."""
    with (folder / "printed.txt").open("w") as printed:
        return subprocess.Popen([SNAKEMAKE, *map(str, options)], cwd=folder, stdout=printed, stderr=subprocess.STDOUT)


def killed(process: subprocess.Popen[bytes]) -> None:
    """Kill Snakemake alone, and not its jobs."""
    process.send_signal(signal.SIGKILL)
    process.wait()


def jobs_in(folder: Path) -> list[psutil.Process]:
    """Return the processes that run a script of the workflow in `folder`."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and any(part.startswith("scripts/") for part in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture
def untrained(finished_copy):
    """A finished study that lacks one training, its weights, and the content that these must have."""
    weights = min(finished_copy.glob("results/tiny/train/baseline_cnn-*/fold-0/weights.safetensors"))
    content = weights.read_bytes()
    shutil.rmtree(weights.parent)
    return finished_copy, weights, content


def test_a_training_whose_snakemake_was_killed_ends_and_goes_on_by_the_same_command(untrained):
    folder, weights, content = untrained
    target = weights.relative_to(folder)
    log = folder / "logs/tiny" / target.relative_to("results/tiny").parent.with_suffix(".log")
    log.unlink()
    first = started(folder, target, *LOCAL, *TINY_EXTERNAL)
    while not log.exists():
        time.sleep(0.05)
    orphans = jobs_in(folder)
    assert orphans
    killed(first)
    printed = snakemake(folder, target, *LOCAL, *TINY_EXTERNAL)
    assert not psutil.wait_procs(orphans, timeout=120)[1]
    assert re.search(
        rf"A Snakemake was killed here \(\S+ process {first.pid} since \S+\). Its lock is removed", printed
    )
    assert weights.read_bytes() == content
    assert not (weights.parent / "resume").exists() and not list((folder / ".snakemake/locks").glob("*"))


def test_a_folder_in_which_a_snakemake_runs_is_refused_by_its_name(untrained):
    folder, weights, _ = untrained
    first = started(folder, weights.relative_to(folder), *LOCAL, *TINY_EXTERNAL)
    while not list((folder / ".snakemake/locks").glob("*")):
        time.sleep(0.05)
    first.send_signal(signal.SIGSTOP)  # so that it has not ended before the second one looks
    second = failing(folder, weights.relative_to(folder), *LOCAL, *TINY_EXTERNAL)
    assert second.returncode != 0
    assert re.search(rf"Another Snakemake works on this study in this folder: \S+ process {first.pid}", second.stdout)
    killed(first)


def test_the_watch_sees_two_trainings_of_one_fold_at_once_and_not_those_of_two_folds(tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/train.py").write_text("input()")
    trainings = []
    with TrainingWatch(tmp_path) as watch:
        for fold in (0, 1, 1):
            assert not watch.at_once
            command = [sys.executable, "scripts/train.py", "--resume", f"fold-{fold}/resume"]
            trainings.append(subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE))
            while f"fold-{fold}/resume" not in watch.seen:
                time.sleep(0.05)
        while not watch.at_once:
            time.sleep(0.05)
    for training in trainings:
        training.communicate(b"\n")
    assert watch.at_once[0] == ("fold-1/resume", sorted(training.pid for training in trainings[1:]))


@pytest.mark.timeout(14400)
@pytest.mark.parametrize("options", [LOCAL, SCHEDULER], ids=["local", "scheduler"])
def ends_in_the_same_bits_after_kills_at_random_moments(finished, tmp_path, options):
    folder = clone(tmp_path)
    (folder / "submit").write_text(SUBMIT)
    (folder / "submit").chmod(0o755)
    printed = folder / "printed.txt"
    assert_same_bits_after_kills(folder, lambda: (started(folder, *options, *OPTIONS), printed), finished[0])


if KILLS:  # hours on a busy machine
    test_the_study_ends_in_the_same_bits_after_kills_at_random_moments = (
        ends_in_the_same_bits_after_kills_at_random_moments
    )
