"""Commands and checks end, whatever the machine does."""

import os
import signal
import time

import pytest

from fake_commands import FakeCommands
from melanoma.doctor import answers
from melanoma.doctor.answers import NoAnswer, answer, within


def test_a_command_that_hangs_is_ended(tmp_path, monkeypatch):
    FakeCommands(tmp_path / "bin", monkeypatch).hangs("sinfo")
    monkeypatch.setattr(answers, "COMMAND_SECONDS", 0.2)
    with pytest.raises(NoAnswer, match=r"`sinfo -h` did not answer within 0\.2 s"):
        answer("sinfo", "-h")


def test_a_command_that_fails_is_quoted(tmp_path, monkeypatch):
    FakeCommands(tmp_path / "bin", monkeypatch).says("sinfo", "controller is down", code=1)
    with pytest.raises(NoAnswer, match="failed: controller is down"):
        answer("sinfo")


def test_a_command_that_is_missing_is_named():
    with pytest.raises(NoAnswer, match="no command no-such-command"):
        answer("no-such-command")


def test_a_check_gives_its_value_or_ends():
    assert within(60, lambda: [1]) == [1]
    with pytest.raises(NoAnswer, match=r"within 0\.1 s"):
        within(0.1, lambda: time.sleep(60))


def test_a_check_that_crashes_like_a_driver_ends_nothing_else():
    with pytest.raises(NoAnswer, match="died"):
        within(60, lambda: os.kill(os.getpid(), signal.SIGKILL))
