"""What every script shares: errors in plain words, in the log and on the screen."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from melanoma.common.cli import progress
from melanoma.common.job_logs import last_attempt
from project import SCRIPTS

SCRIPT = """
import argparse
from melanoma.common.cli import log, run
from melanoma.common.errors import InputError

def main(args):
    log.info("so far so good")
    {body}

run(lambda parser: None, main, None)
"""


def script(folder: Path, body: str) -> subprocess.CompletedProcess:
    """Run a script with `body` that logs to logs/study/stage/item.log."""
    command = [sys.executable, "-c", SCRIPT.format(body=body), "--log", "logs/study/stage/item.log"]
    return subprocess.run(command, cwd=folder, env={"PYTHONPATH": str(SCRIPTS)}, capture_output=True, text=True)


def test_an_input_error_is_a_plain_message_and_a_failure(tmp_path):
    done = script(tmp_path, "raise InputError('line 3: age 500')")
    assert done.returncode == 1 and "line 3: age 500" in done.stderr and "Traceback" not in done.stderr
    assert "stage/item ERROR" in done.stderr


def test_an_unexpected_error_leaves_its_traceback_in_the_log(tmp_path):
    done = script(tmp_path, "raise OSError('disk full')")
    assert done.returncode == 1
    assert "Traceback" in (tmp_path / "logs/study/stage/item.log").read_text()


def test_a_second_attempt_keeps_what_the_first_said(tmp_path):
    script(tmp_path, "raise InputError('first')")
    script(tmp_path, "pass")
    log = (tmp_path / "logs/study/stage/item.log").read_text()
    assert "first" in log and log.count("so far so good") == 2


@pytest.mark.parametrize(
    ("body", "level"),
    [
        ("raise InputError('bad row')", "ERROR"),
        ("raise ValueError('bug')", "ERROR"),
        ("raise OSError(28, 'No space left on device')", "WARNING"),
    ],
)
def test_a_permanent_cause_is_an_error_and_a_temporary_one_a_warning(tmp_path, body, level):
    script(tmp_path, body)
    assert [record.level for record in last_attempt(tmp_path / "logs/study/stage/item.log", 0)][-1] == level


@pytest.mark.parametrize("every", [0.0, 1000.0])
def test_progress_yields_everything_and_speaks_no_more_often_than_asked(caplog, every):
    with caplog.at_level(logging.INFO, logger="melanoma"):
        assert list(progress(range(5), "counting", every=every)) == [0, 1, 2, 3, 4]
    assert len(caplog.records) == (5 if every == 0 else 0)
