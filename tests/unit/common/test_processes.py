"""A process is known by its host, its number and its start; a job knows whether its Snakemake has ended."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from melanoma.common.processes import SNAKEMAKE, ProcessId, is_orphan, lock_owners


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder whose lock this process holds, as Snakemake holds it, and a job of it."""
    monkeypatch.chdir(tmp_path)
    lock = tmp_path / ".snakemake/locks/0.output.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text(f"{ProcessId.current()}\nresults/a\n")
    monkeypatch.setenv(SNAKEMAKE, str(ProcessId.current()))
    return lock


def test_the_text_of_a_process_names_it_and_no_other_text_does():
    process = ProcessId.current()
    assert ProcessId.parse(str(process)) == process
    assert not any(map(ProcessId.parse, ["", "results/tiny/a.csv", "a process b since c", "process 1 since 2"]))


def test_a_process_is_gone_when_it_has_ended_or_another_has_its_number():
    process = ProcessId.current()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert not process.is_gone()
    assert replace(process, number=ended.pid).is_gone()
    assert replace(process, started=process.started - 60).is_gone()
    assert not replace(process, host="elsewhere", number=ended.pid).is_gone(), "nothing is known of another host"


def test_a_job_is_an_orphan_without_its_snakemake_or_without_its_lock(here, monkeypatch):
    assert list(lock_owners().values()) == [ProcessId.current()] and not is_orphan()
    gone = replace(ProcessId.current(), started=0.0)
    monkeypatch.setenv(SNAKEMAKE, str(gone))
    assert is_orphan()
    elsewhere = replace(gone, host="elsewhere")
    monkeypatch.setenv(SNAKEMAKE, str(elsewhere))
    assert is_orphan(), "the Snakemake that works here now is another"
    here.write_text(f"{elsewhere}\n")
    assert not is_orphan()
    monkeypatch.delenv(SNAKEMAKE)
    here.unlink()
    assert not is_orphan(), "a script that a person starts"


def test_a_script_whose_snakemake_has_ended_gets_sigterm(here):
    code = "import time; from melanoma.common import processes as p; p.end_with_snakemake(); time.sleep(60)"
    here.unlink()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, timeout=60, capture_output=True)
    assert done.returncode == -signal.SIGTERM
