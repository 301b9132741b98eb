"""The scripts of the profiles, with simulated schedulers. tests/cluster has real ones."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from project import ROOT

QUEUE = "job-ID prior name user state\n---\n   7 0.5 mtrain root {} 11/22/2026\n"
RECORD = "{line}\njobnumber 7\nfailed 0\nexit_status 1\n{line}\njobnumber 7\nfailed {failed}\nexit_status {exit}\n"


class Commands:
    """A folder in front of PATH with commands that print what they are given, and a job's working directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()

    def says(self, name: str, answer: str, code: int = 0) -> None:
        (self.folder / f"{name}.txt").write_text(answer)
        script = self.folder / "bin" / name
        line = f"echo {name} >> {self.folder}/called; cat {self.folder}/{name}.txt; exit {code}"
        script.write_text(f'#!/bin/sh\necho "$@" > {self.folder}/{name}.arguments\n{line}\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)

    def run(self, script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(self.folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
        return subprocess.run(
            [ROOT / "profiles" / script, *arguments],
            cwd=self.folder,
            env=os.environ | {"PATH": path} | environment,
            capture_output=True,
            text=True,
        )

    def status(self, **environment: str) -> str:
        done = self.run("hoffman2/bin/sge-status", "7", **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def commands(tmp_path):
    made = Commands(tmp_path)
    made.says("qstat", "")
    made.says("qacct", "", 1)
    made.says("qdel", "")
    return made


@pytest.mark.parametrize(("said", "expected"), [("0", "success"), ("1", "failed"), ("138", "failed")])
def test_a_job_that_ended_is_known_by_what_it_wrote_and_the_queue_is_not_asked(commands, said, expected):
    (commands.folder / ".snakemake/sge_status").mkdir(parents=True)
    (commands.folder / ".snakemake/sge_status/7").write_text(f"{said}\n")
    assert commands.status() == expected
    assert not (commands.folder / "called").exists()


@pytest.mark.parametrize("state", ["r", "qw", "t", "hqw", "Rr"])
def test_a_job_in_the_queue_is_running(commands, state):
    commands.says("qstat", QUEUE.format(state))
    assert commands.status() == "running"


def test_a_job_that_could_not_be_started_is_deleted_and_failed(commands):
    commands.says("qstat", QUEUE.format("Eqw"))
    assert commands.status() == "failed"
    assert (commands.folder / "qdel.arguments").read_text().split() == ["7"]


def test_a_queue_that_does_not_answer_means_nothing(commands):
    commands.says("qstat", "error: commlib error", 1)
    commands.says("qacct", RECORD.format(line="=" * 62, failed=100, exit=137))
    assert commands.status() == "running"


def test_a_job_whose_node_does_not_answer_fails_only_after_a_while_and_is_deleted(commands):
    commands.says("qstat", QUEUE.format("r"))  # also the answer to which jobs run on hosts that are away
    assert commands.status() == "running"
    assert not (commands.folder / "qdel.arguments").exists()
    assert commands.status(SGE_LOST_GRACE="0") == "failed"
    assert (commands.folder / "qdel.arguments").read_text().split() == ["7"]


@pytest.mark.parametrize(("failed", "code", "expected"), [(0, 0, "success"), (100, 137, "failed"), (0, 1, "failed")])
def test_a_job_that_was_killed_is_looked_up_in_the_newest_record_of_the_accounting(commands, failed, code, expected):
    commands.says("qacct", RECORD.format(line="=" * 62, failed=failed, exit=code))
    assert commands.status() == expected


def test_a_job_that_is_nowhere_fails_only_after_a_while(commands):
    assert commands.status() == "running"
    assert commands.status(SGE_STATUS_GRACE="0") == "failed"


def test_many_jobs_ask_once_for_the_queue_and_once_for_hosts_that_are_away(commands):
    commands.says("qstat", QUEUE.format("r"))
    assert {commands.status() for _ in range(5)} == {"running"}
    assert (commands.folder / "called").read_text().split() == ["qstat"] * 2


def submitted(commands: Commands, threads: int = 1, **resources: object) -> subprocess.CompletedProcess[str]:
    properties = {"rule": "train_fold", "threads": threads, "resources": resources, "wildcards": {"model": "cnn"}}
    (commands.folder / "job.sh").write_text(f"#!/bin/bash\n# properties = {json.dumps(properties)}\n")
    commands.says("qsub", "7\n")
    return commands.run("hoffman2/bin/sge-submit", "job.sh")


def test_a_gpu_job_asks_for_time_memory_per_core_and_gpus_by_model(commands):
    done = submitted(commands, 8, mem_mb=64000, runtime=720, gpu=2, gpu_model="A100", highp=0, nodes=1)
    assert (done.returncode, done.stdout) == (0, "7\n")
    asked = (commands.folder / "qsub.arguments").read_text()
    assert "-l h_rt=12:00:00,h_data=8000M,gpu,A100,cuda=2 -pe shared 8" in asked and "-r y" in asked


def test_an_older_job_of_the_same_number_is_forgotten(commands):
    (commands.folder / ".snakemake/sge_status").mkdir(parents=True)
    (commands.folder / ".snakemake/sge_status/7").write_text("0\n")
    submitted(commands, mem_mb=2000, runtime=10)
    assert commands.status() == "running"


def test_a_job_that_would_wait_for_ever_is_refused(commands):
    done = submitted(commands, runtime=10, nodes=2)
    assert done.returncode == 1 and "asks for 2 nodes" in done.stderr and "profile slurm" in done.stderr
    done = submitted(commands, runtime=3600)
    assert done.returncode == 1 and "gets 1440" in done.stderr
    assert submitted(commands, runtime=3600, highp=1).returncode == 0


@pytest.mark.parametrize("program", ["squeue", "sacct"])
def test_slurms_plugin_reads_preempted_and_cancelled_jobs_as_cancelled(commands, program):
    listed = "1|RUNNING\n2|PREEMPTED\n3|CANCELLED\n4|CANCELLED by 1000\n5|COMPLETED\n"
    commands.says(program, listed)
    wrapper = ROOT / "profiles/slurm/bin" / program
    path = os.pathsep.join([str(wrapper), str(commands.folder / "bin"), os.environ["PATH"]])
    done = subprocess.run([program, "--me"], env={"PATH": path}, capture_output=True, text=True)
    assert done.stdout == listed.replace("PREEMPTED", "CANCELLED").replace(" by 1000", "")
    assert (commands.folder / f"{program}.arguments").read_text() == "--me\n"
    commands.says(program, "slurm_load_jobs error", 1)
    assert subprocess.run([program], env={"PATH": path}, capture_output=True).returncode == 1


@pytest.mark.parametrize(
    "profile", sorted((ROOT / "profiles").glob("*/config.yaml")), ids=lambda path: path.parent.name
)
def test_no_value_of_a_profile_is_the_name_of_a_file_beside_it(profile):
    values = yaml.safe_load(profile.read_text()).values()
    assert not [value for value in values if isinstance(value, str) and (profile.parent / value).exists()], (
        "Snakemake takes such a value for that file"
    )
