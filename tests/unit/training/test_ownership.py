"""A training that starts beside an older one of the same folder waits until that has saved a checkpoint and stopped."""

import os
import time
from dataclasses import replace

import pytest

import quick
from melanoma.common.files import write_text
from melanoma.common.processes import ProcessId
from melanoma.training import ownership
from melanoma.training.ownership import OWNER, Ownership
from small_training import TinyStudy


def test_a_second_training_goes_on_where_the_first_stops_and_never_beside_it(tmp_path):
    study = TinyStudy(tmp_path, epochs=60)
    logs = [tmp_path / "first.log", tmp_path / "second.log"]
    options = [*study.options("run"), "--fold", 0, "--log"]
    first = quick.start("train", *options, logs[0])
    while "epoch 2 of" not in (logs[0].read_text() if logs[0].exists() else ""):
        time.sleep(0.02)
    quick.run("train", *options, logs[1])
    first.join()
    assert first.exitcode == 75
    assert "stopped by another job, which takes over this training, after batch" in logs[0].read_text()
    said = logs[1].read_text()
    assert 0 < said.index(f"process {first.pid} since") < said.index("INFO continuing from") < said.index("INFO epoch")
    assert not (study.folder / "run" / "resume").exists()


@pytest.fixture
def elsewhere(tmp_path):
    """A folder that a training of another host owns."""
    write_text(tmp_path / OWNER, f"token\n{replace(ProcessId.current(), host='elsewhere')}\n")
    return tmp_path / OWNER


def test_a_training_of_another_host_without_a_beat_is_not_waited_for(elsewhere, monkeypatch):
    monkeypatch.setattr(ownership, "SILENCE", 0.1)
    mine = Ownership(elsewhere.parent)
    mine.claim()
    assert mine.holds()
    mine.release()
    assert not elsewhere.exists()


def test_a_training_of_another_host_is_waited_for_as_long_as_it_beats(elsewhere, monkeypatch):
    monkeypatch.setattr(ownership, "SILENCE", 0.4)
    beats = []

    def beat(seconds: float) -> None:
        if len(beats) < 10:
            beats.append(os.utime(elsewhere, (len(beats), len(beats))))
        time.sleep(0.05)

    monkeypatch.setattr(ownership, "wait", beat)
    Ownership(elsewhere.parent).claim()
    assert len(beats) == 10


def test_a_training_that_ended_on_this_host_is_not_waited_for(elsewhere):
    write_text(elsewhere, f"token\n{replace(ProcessId.current(), started=0.0)}\n")
    Ownership(elsewhere.parent).claim()
