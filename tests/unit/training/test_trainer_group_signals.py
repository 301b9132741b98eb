"""Schedulers signal all processes of a job: training stops with a checkpoint and then goes on to the same bits."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

import quick
from effort import drawn
from small_training import TinyStudy


@pytest.mark.many_cases
def test_signals_to_the_process_group_at_random_moments(tmp_path):
    """GROUP_SIGNALS sets how many trainings they stop, FAULT_SEED at which moments."""
    study = TinyStudy(tmp_path, epochs=15, monitor="last")
    expected, whole = study.undisturbed()
    draw = random.Random(os.environ.get("FAULT_SEED", 1))
    wanted, stopped, runs = int(os.environ.get("GROUP_SIGNALS", drawn(4, 50))), 0, 0
    while stopped < wanted:
        runs += 1
        stopped += sum(stop(study, f"run-{runs}", draw.uniform(0, whole / 2)) for _ in range(3))
        study.train(f"run-{runs}", "--fold", 0, "--workers", 2)
        assert study.results(f"run-{runs}") == expected


def stop(study: TinyStudy, name: str, moment: float) -> bool:
    """Train for `moment` seconds, then end the process group; return whether the training was stopped by that."""
    resume = study.folder / name / "resume"
    before = owner(resume)
    process = quick.start("train", *study.options(name), "--fold", 0, "--workers", 2)
    while owner(resume) == before:
        time.sleep(0.01)
    process.join(moment)
    if process.is_alive():
        os.killpg(process.pid, signal.SIGTERM)
        process.join()
    checkpoints = list(resume.glob("step-*.pt"))
    assert process.exitcode == 75 if checkpoints else not resume.exists()
    return bool(checkpoints)


def owner(resume: Path) -> str | None:
    """Return the process that trains; it changes where the training begins or goes on."""
    path = resume / "owner"
    return path.read_text() if path.exists() else None
