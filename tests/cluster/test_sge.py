"""profiles/hoffman2 on a real Grid Engine: whatever jobs meet ends in a finished study or a clear error, no hang."""

import os
import re
import signal
import subprocess
import time
from itertools import pairwise
from pathlib import Path

import pandas as pd
import psutil
import pytest

from kills import KILLS, OPTIONS, assert_same_bits_after_kills
from on_cluster import (
    Snakemake,
    assert_same_bits,
    assert_same_study,
    assert_went_on,
    assert_went_on_within_its_limit,
    called,
    does_not_answer,
    log_of,
    training,
    training_of,
    wait_until,
    wait_until_it_trains,
)
from workflow import clone

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("grid_engine"), pytest.mark.usefixtures("grid_engine")]
# Waits less for files that are on the same disk, and looks more often at jobs that are few.
QUICK = ("--latency-wait", 20, "--seconds-between-status-checks", 2)
FEW = ("--jobs", 2)  # so that a kill ends few
HERE = Path(__file__).parent
STATE = Path(os.environ.get("SGE_STATE", "/tmp/sge-local"))


def started(folder: Path, models: list[str], *options: object) -> Snakemake:
    return training(folder, models, *QUICK, *options, profile="hoffman2")


def numbers(folder: Path, model: str) -> list[str]:
    """The numbers of a model's jobs that ran, oldest first, by the files that hold what they printed."""
    found = (
        re.search(r"\.(\d+)\.log$", path.name)
        for path in (folder / "logs/sge").glob(f"mtrain_fold-{training_of(folder, model)}-fold-0.*")
    )
    return sorted((match[1] for match in found), key=int)


def record(number: str) -> dict[str, str]:
    """What the accounting says of a job, as soon as it does."""

    def asked() -> str:
        return subprocess.run(["qacct", "-j", number], capture_output=True, text=True, timeout=60).stdout

    lines = str(wait_until(asked, f"job {number} is in the accounting")).splitlines()
    return {line.split()[0]: line.split(maxsplit=1)[1].strip() for line in lines if len(line.split()) > 1}


def processes(number: str) -> list[Path]:
    """Every process of a job, the shepherd that started it first, by the job's number in their environments."""

    def belongs(process: Path) -> bool:
        try:
            return f"\0JOB_ID={number}\0".encode() in b"\0" + (process / "environ").read_bytes()
        except OSError:
            return False

    children = sorted(filter(belongs, Path("/proc").glob("[0-9]*")), key=lambda process: int(process.name))
    return [Path("/proc", status(children[0])[1]), *children]


def status(process: Path) -> list[str]:
    """State, number of the parent and more of a process."""
    return (process / "stat").read_text().rpartition(")")[2].split()


def age(number: str) -> float:
    """How many seconds ago a job's shepherd was started."""
    shepherd, *_ = processes(number)
    return time.time() - psutil.Process(int(shepherd.name)).create_time()


def runs(number: str) -> bool:
    """Tell whether Grid Engine knows that a job runs. Until then, it cannot end the job."""
    return re.search(rf"^\s*{number} .* r ", called("qstat", "-u", "*"), re.MULTILINE) is not None


def waiting() -> list[str]:
    return re.findall(r"^\s*(\d+) .* qw ", called("qstat", "-u", "*"), re.MULTILINE)


@pytest.mark.timeout(1500)
def test_the_demo_study_runs_to_its_report_in_the_same_bits_as_on_one_machine(demo, tmp_path):
    """With the code in one folder and called from another, the run's."""
    code, scratch = tmp_path / "code", tmp_path / "scratch"
    code.mkdir()
    scratch.mkdir()
    profile = clone(code) / "profiles" / "hoffman2"
    run = Snakemake(scratch, "-s", code / "Snakefile", *QUICK, profile=str(profile))
    assert "report.html" in run.succeeded(1400)
    assert_same_study(scratch, demo)


@pytest.mark.timeout(1200)
def test_a_job_that_reaches_its_time_limit_is_submitted_again_and_goes_on(reference, project):
    """Alone: where many jobs start at once, the start of one may take a third of its minute."""
    run = started(project, ["limited"])
    run.succeeded()
    assert_went_on_within_its_limit(project, reference, run.printed())
    first = record(numbers(project, "limited")[0])
    assert first["failed"] == "0", "Grid Engine must not have had to end it"
    assert len(numbers(project, "limited")) >= 2


@pytest.mark.timeout(1200)
def test_a_deletion_and_a_requeueing_end_in_the_same_bits(reference, project):
    run = started(project, ["cancelled", "rescheduled"])
    wait_until_it_trains(project, "cancelled")
    called("qdel", numbers(project, "cancelled")[0])
    wait_until_it_trains(project, "rescheduled")
    (rescheduled,) = numbers(project, "rescheduled")
    wait_until(lambda: runs(rescheduled), "Grid Engine knows that it runs")
    # Grid Engine does not end a job that it requeues within seconds of its start.
    wait_until(lambda: age(rescheduled) > 10, "it runs for 10 s")
    called("qmod", "-rj", rescheduled)
    run.succeeded()

    assert_went_on(project, reference, "cancelled", "rescheduled")
    first, second = numbers(project, "cancelled")
    assert record(first)["failed"].startswith("100") and record(second)["failed"] == "0"
    assert numbers(project, "rescheduled") == [rescheduled], (
        "Grid Engine runs the same job again, and no retry is spent"
    )


def test_a_job_that_is_suspended_for_a_more_urgent_one_goes_on_where_it_was(reference, project):
    run = started(project, ["preempted"])
    wait_until_it_trains(project, "preempted")
    (number,) = numbers(project, "preempted")
    urgent = called("qsub", "-terse", "-b", "y", "-l", "urgent", "-o", "/dev/null", "-j", "y", "sleep", "15").strip()
    _, *suspended = processes(number)
    wait_until(lambda: all(status(process)[0] == "T" for process in suspended), "every process of it is stopped")
    assert re.search(rf"^\s*{number} .* S ", called("qstat", "-u", "*"), re.MULTILINE)
    record(urgent)
    run.succeeded()
    assert_same_bits(project, "preempted", reference, "brief")
    assert numbers(project, "preempted") == [number] and "INFO continuing from" not in log_of(project, "preempted")


def test_a_job_whose_node_is_lost_is_submitted_again_and_goes_on(reference, project):
    run = started(project, ["stranded"])
    wait_until_it_trains(project, "stranded")
    (old,) = numbers(project, "stranded")
    execution_daemon = int((STATE / "execd.pid").read_text())
    for process in (execution_daemon, *(int(process.name) for process in processes(old))):
        os.kill(process, signal.SIGKILL)
    try:
        wait_until(lambda: "Trying to restart job" in run.printed(), "the job counts as failed")
        assert re.search(rf"^\s*{old} .* d?r ", called("qstat", "-u", "*"), re.MULTILINE), "nothing known"
    finally:
        called(HERE / "sge-up.sh")
    run.succeeded()
    assert_went_on(project, reference, "stranded")
    assert len(numbers(project, "stranded")) == 2


def test_a_job_that_is_deleted_while_it_waits_is_submitted_again(reference, project):
    called("qmod", "-d", "gpu.q")
    try:
        run = started(project, ["again"])
        called("qdel", *wait_until(waiting, "the job waits"))
    finally:
        called("qmod", "-e", "gpu.q")
    run.succeeded()
    assert_same_bits(project, "again", reference, "alone")


def test_a_controller_that_is_killed_and_started_again_ends_in_the_same_bits(reference, project):
    first = started(project, ["orphaned"])
    wait_until_it_trains(project, "orphaned")
    first.killed()
    printed = started(project, ["orphaned"]).succeeded()
    assert f"process {first.process.pid} since" in printed and "Its lock is removed" in printed
    assert_same_bits(project, "orphaned", reference, "brief")
    old, new = numbers(project, "orphaned")
    assert record(old)["exit_status"] != "0" and record(new)["exit_status"] == "0"
    said = (project / f"logs/sge/mtrain_fold-{training_of(project, 'orphaned')}-fold-0.{old}.log").read_text()
    assert "of this job" in said and "has ended, so this job ends" in said


def test_a_scheduler_that_does_not_answer_for_a_while_loses_nothing(reference, project):
    run = started(project, ["unattended"])
    wait_until_it_trains(project, "unattended")
    does_not_answer(STATE / "qmaster.pid", 20)
    run.succeeded()
    assert_same_bits(project, "unattended", reference, "brief")
    assert len(numbers(project, "unattended")) == 1 and "INFO continuing from" not in log_of(project, "unattended")


def test_a_job_killed_for_its_memory_is_tried_with_more(reference, project):
    few = "train_fold:mem_mb=100 if attempt == 1 else 4000"
    started(project, ["again"], "--set-resources", few).succeeded()
    first, second = numbers(project, "again")
    assert record(first)["exit_status"] != "0" and "h_data=100M" in record(first)["category"]
    assert record(second)["exit_status"] == "0" and "h_data=4000M" in record(second)["category"]
    assert_same_bits(project, "again", reference, "alone")


def test_missing_gpus_are_an_error_that_names_node_and_job_and_the_cap_on_gpus_holds(project):
    run = started(project, ["gpu_a", "gpu_b"], "--retries", 0, "--resources", "gpu=1")
    printed = run.failed()
    assert "ERROR The recipe asks for 1 GPU(s), and torch sees none on" in printed
    jobs = [number for model in ("gpu_a", "gpu_b") for number in numbers(project, model)]
    assert len(jobs) == 2
    assert all(f"(scheduler job {number}, CUDA_VISIBLE_DEVICES=" in printed for number in jobs)
    records = [record(number) for number in jobs]
    assert all("cuda=1" in found["category"] and "A100" in found["category"] for found in records)
    spans = sorted([pd.Timestamp(found[time]) for time in ("start_time", "end_time")] for found in records)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans)), spans


def test_what_the_cluster_would_let_wait_for_ever_is_an_error(project):
    printed = started(project, ["spanning"], "--retries", 0).failed()
    assert "Rule train_fold asks for 2 nodes, and the parallel environment `shared` is one node." in printed
    too_long = ("--retries", 0, "--set-resources", "train_fold:runtime=3000")
    printed = started(project, ["cancelled"], *too_long).failed()
    assert "a job on nodes that are not your group's gets 1440" in printed


@pytest.mark.timeout(14400)
def ends_in_the_same_bits_after_kills_at_random_moments(finished, tmp_path):
    folder = clone(tmp_path)

    def start():
        run = Snakemake(folder, *OPTIONS, *FEW, *QUICK, profile="hoffman2")
        return run.process, run.file

    assert_same_bits_after_kills(folder, start, finished[0])


if KILLS:  # an hour on a busy machine
    test_the_study_ends_in_the_same_bits_after_kills_at_random_moments = (
        ends_in_the_same_bits_after_kills_at_random_moments
    )
