"""What is tried again: a job that was stopped or killed, never one that another try cannot cure."""

import errno
import os
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
import torch
from snakemake.jobs import Job

from melanoma.common.causes import is_temporary
from melanoma.common.errors import InputError
from melanoma.common.job_logs import failed_permanently, last_words
from project import SCRIPTS

SNAKEFILE = """
import sys, time
sys.path.insert(0, {scripts!r})
from melanoma.snakefile.retries import failures, retry_temporary_failures
started = time.time()
retry_temporary_failures(started)
rule all:
    input: expand("{{job}}.done", job=["wrong", "stopped", "killed", "good"])
rule work:
    output: "{{job}}.done"
    log: "logs/study/{{job}}.log"
    shell: "{python} work.py --job {{wildcards.job}} --output {{output}} --log {{log}}"
onerror:
    for failure in failures(workflow.scheduler.failed, started):
        print("GIVEN UP", failure)
"""
WORK = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {scripts!r})
from melanoma.common.cli import log, run
from melanoma.common.errors import InputError

def describe(parser):
    parser.add_argument("--job")
    parser.add_argument("--output", type=Path)

def main(args):
    log.info("at work")
    with Path(args.job).open("a") as tries:
        tries.write("x")
    if args.job == "wrong":
        raise InputError("models.cnn: a typing error")
    if args.job == "stopped":
        log.warning("stopped by the end of its 1 minutes")
        sys.exit(75)
    if args.job == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    args.output.touch()

run(describe, main, None)
"""
START = "2026-01-01 10:00:00 DEBUG python train.py --fold 0\n"
TOLD = "2026-01-01 10:00:01 "


def test_snakemake_still_asks_a_job_how_often_it_may_be_tried_again():
    """retry_temporary_failures exchanges this; were it called otherwise, every failure would be tried again."""
    assert isinstance(vars(Job)["restart_times"], property)
    source = Path(sys.modules["snakemake.jobs"].__file__).with_name("scheduling") / "job_scheduler.py"
    assert "job.restart_times > job.attempt - 1" in source.read_text()


def test_an_input_error_is_not_retried_and_a_stop_or_a_kill_is(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(scripts=str(SCRIPTS), python=sys.executable))
    (tmp_path / "work.py").write_text(WORK.format(scripts=str(SCRIPTS)))
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--retries", "3", "--keep-going"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    tries = {name: len((tmp_path / name).read_text()) for name in ("wrong", "stopped", "killed", "good")}
    assert tries == {"wrong": 1, "stopped": 4, "killed": 4, "good": 1}
    assert [line for line in done.stdout.splitlines() if line.startswith("GIVEN UP")] == [
        "GIVEN UP logs/study/killed.log: no error; the job was ended from outside, as by a kill."
        " Its last message: at work",
        "GIVEN UP logs/study/stopped.log: stopped by the end of its 1 minutes",
        "GIVEN UP logs/study/wrong.log: models.cnn: a typing error",
    ]


@pytest.mark.parametrize(
    ("text", "lasting"),
    [
        (f"{START}{TOLD}ERROR wrong\n", True),
        (f"{START}{TOLD}WARNING stopped\n", False),
        (f"{START}{TOLD}INFO epoch 1\n", False),
        (f"{START}{TOLD}ERROR wrong\n{START}{TOLD}INFO epoch 1\n", False),
        (f"{START}{TOLD}WARNING stopped\n{START}{TOLD}ERROR wrong:\n  - line 3\n", True),
        # Two processes: one is wrong, the other is stopped because of it, and says so later.
        (f"{START}{TOLD}ERROR wrong\n{TOLD}WARNING stopped by signal SIGTERM\n", True),
        (f"{START}{TOLD}INFO a file called ERROR is there\n", False),
        ("", False),
    ],
)
def test_the_last_attempt_in_the_log_has_the_cause(tmp_path, text, lasting):
    log = tmp_path / "job.log"
    log.write_text(text)
    assert failed_permanently(log, 0) is lasting


def test_an_older_log_and_no_log_have_no_cause(tmp_path):
    log = tmp_path / "job.log"
    log.write_text(f"{START}{TOLD}ERROR wrong\n")
    os.utime(log, (1000, 1000))
    assert failed_permanently(log, 1000) and not failed_permanently(log, 1001)
    assert not failed_permanently(tmp_path / "other.log", 0)
    assert "no message" in last_words(log, 1001) and "no message" in last_words(tmp_path / "other.log", 0)


def test_the_last_words_are_all_lines_of_the_cause_even_if_others_follow(tmp_path):
    log = tmp_path / "job.log"
    log.write_text(f"{START}{TOLD}ERROR wrong:\n  - line 3\n{TOLD}WARNING stopped by signal SIGTERM\n")
    assert last_words(log, 0) == f"{log}: wrong:\n  - line 3"


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "full"), OSError(errno.EIO, "broken"), OSError(errno.ESTALE, "stale"),
        ConnectionResetError(errno.ECONNRESET, "reset"),
        MemoryError(), KeyboardInterrupt(), BrokenProcessPool(), torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("CUDA error: uncorrectable ECC error encountered"),
        RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer [10.0.0.1]:1"),
        caused(InputError("cannot be read"), OSError(errno.EIO, "broken")),
    ],
    ids=repr,
)  # fmt: skip
def test_causes_in_memory_disks_networks_devices_and_processes_are_temporary(error):
    assert is_temporary(error)


@pytest.mark.parametrize(
    "error",
    [
        InputError("wrong"), ValueError("bug"), FileNotFoundError(errno.ENOENT, "none"), OSError("no number"),
        PermissionError(errno.EACCES, "not yours"), RuntimeError("shapes cannot be multiplied"),
        RuntimeError("CUDA error: device-side assert triggered"),
        caused(InputError("not enough memory for 64 images"), torch.OutOfMemoryError("CUDA out of memory")),
        caused(InputError("not there"), FileNotFoundError(errno.ENOENT, "none")),
    ],
    ids=repr,
)  # fmt: skip
def test_causes_in_the_input_or_the_code_are_permanent(error):
    assert not is_temporary(error)
