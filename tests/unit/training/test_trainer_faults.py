"""After any number of faults in a training, the same command gives the same bits."""

import os
import random
import time

import psutil
import pytest

import quick
from effort import drawn
from small_training import TinyStudy

FAULTS = ("kill", "terminate", "truncate", "workers", "disk full")


@pytest.mark.many_cases
def test_after_any_faults_training_ends_in_the_same_bits(tmp_path):
    """SIGKILL, SIGTERM, a newest checkpoint cut short, another number of workers, a full disk: at random moments,
    several to a run, and then to its end. FAULTS sets how many, FAULT_SEED which.
    """
    study = TinyStudy(tmp_path, epochs=6, monitor="last")
    expected, whole = study.undisturbed()
    draw = random.Random(os.environ.get("FAULT_SEED", 1))
    wanted, faults, runs = int(os.environ.get("FAULTS", drawn(20, 500))), 0, 0
    while faults < wanted:
        runs += 1
        name = f"run-{runs}"
        for fault in draw.sample(FAULTS, 4):
            faults += inflict(fault, study, name, draw.uniform(0, whole))
        study.train(name)
        assert study.results(name) == expected, f"run {runs} with FAULT_SEED={os.environ.get('FAULT_SEED', 1)}"
        assert not list((study.folder / name).rglob("*.tmp"))
        assert not (study.folder / name / "resume").exists()


def inflict(fault: str, study: TinyStudy, name: str, moment: float) -> bool:
    """Train until `moment` and do it harm; return whether it was still at work, so that it was harmed."""
    options = [*study.options(name), "--fold", 0, *(("--workers", 2) if fault == "workers" else ())]
    process = quick.start("train", *options, largest_file=2000 if fault == "disk full" else None)
    process.join(None if fault == "disk full" else moment)
    harmed = process.is_alive() or fault == "disk full"
    if fault == "terminate":
        process.terminate()
        process.join()
        assert process.exitcode in ({0, 75, -15} if harmed else {0})
    elif fault == "disk full":
        assert process.exitcode in {0, 1}
    process.kill()
    process.join()
    checkpoints = sorted((study.folder / name / "resume").glob("step-*.pt"))
    if fault == "truncate" and checkpoints:
        checkpoints[-1].write_bytes(checkpoints[-1].read_bytes()[: int(moment * 1000)])
    return harmed


@pytest.fixture
def study(tmp_path):
    return TinyStudy(tmp_path, epochs=60)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGXCPU"])
def test_a_signal_saves_a_checkpoint_and_logs_how_to_continue(study, name):
    import signal

    log = study.folder / "train.log"
    process = quick.start("train", *study.options("run"), "--fold", 0, "--workers", 2, "--log", log)
    while "epoch 2 of" not in (log.read_text() if log.exists() else ""):
        time.sleep(0.02)
    # A scheduler signals all processes of a job. A loader of its own would end and take the training with it.
    assert not psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.Signals[name])
    process.join()
    assert process.exitcode == 75
    assert f"WARNING stopped by signal {name} after batch" in log.read_text()
    assert "the same command, or a retry by the profile, continues from there" in log.read_text()
    assert list((study.folder / "run" / "resume").glob("step-*.pt"))


def test_a_full_disk_keeps_the_last_intact_checkpoint_and_is_an_error(study):
    log = study.folder / "train.log"
    process = quick.start("train", *study.options("run"), "--fold", 0, "--log", log)
    while len(list((study.folder / "run" / "resume").glob("step-*.pt"))) < 3:
        time.sleep(0.02)
    process.kill()
    process.join()
    before = sorted((study.folder / "run" / "resume").glob("step-*.pt"))
    process = quick.start("train", *study.options("run"), "--fold", 0, "--log", log, largest_file=4000)
    process.join()
    assert process.exitcode == 1
    assert sorted((study.folder / "run" / "resume").glob("*.pt")) == before
    assert (
        "cannot be written: File too large. Free space or raise the quota, and give the same command again"
        in log.read_text()
    )
