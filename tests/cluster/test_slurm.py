"""profiles/slurm on a real Slurm: whatever its jobs meet ends in a finished study or a clear error, never a hang."""

import os
import re
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

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
    weights,
)
from workflow import clone

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("slurm"), pytest.mark.usefixtures("slurm")]
STATE = Path(os.environ.get("SLURM_ROOT", "/tmp/slurm-local"))
# Looks at the jobs more often than a cluster would like, and waits less for files that are on the same disk.
QUICK = ("--slurm-init-seconds-before-status-checks", 3, "--latency-wait", 20)
FEW = ("--jobs", 2)  # so that a kill ends few


def started(folder: Path, models: list[str], *options: object, steady: bool = True) -> Snakemake:
    return training(folder, models, *QUICK, *options, profile="slurm", steady=steady)


def numbers(run: Snakemake, model: str) -> list[str]:
    """The numbers of a model's jobs so far, oldest first."""
    return re.findall(
        rf"SLURM jobid (\d+) \(log: \S*/rule_train_fold/{training_of(run.folder, model)}_fold-0/", run.printed()
    )


def job(run: Snakemake, model: str) -> str:
    return wait_until(lambda: numbers(run, model), f"{model} is submitted")[-1]


def state(number: str) -> str:
    return called("squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={number}").strip()


@pytest.mark.timeout(1500)
def test_the_demo_study_runs_to_its_report_in_the_same_bits_as_on_one_machine(demo, tmp_path):
    """With the code in one folder and the run in another, as in a home folder and on scratch."""
    code, scratch = tmp_path / "code", tmp_path / "scratch"
    code.mkdir()
    run = Snakemake(clone(code), "--directory", scratch, *QUICK, profile="slurm", steady=True)
    assert "report.html" in run.succeeded(1400)
    assert_same_study(scratch, demo)
    assert not (code / "results").exists()


@pytest.mark.timeout(1200)
def test_a_job_that_reaches_its_time_limit_is_submitted_again_and_goes_on(reference, project):
    """Alone: where many jobs start at once, the start of one may take a third of its minute."""
    run = started(project, ["limited"])
    run.succeeded()
    assert_went_on_within_its_limit(project, reference, run.printed())
    assert state(numbers(run, "limited")[0]) == "FAILED", "Slurm must not have had to end it"
    assert len(numbers(run, "limited")) >= 2


@pytest.mark.timeout(1200)
def test_a_cancelling_and_a_requeueing_end_in_the_same_bits(reference, project):
    run = started(project, ["cancelled", "requeued"])
    wait_until_it_trains(project, "cancelled")
    called("scancel", job(run, "cancelled"))
    wait_until_it_trains(project, "requeued")
    requeued = job(run, "requeued")
    called("scontrol", "requeue", requeued)
    run.succeeded()

    assert_went_on(project, reference, "cancelled", "requeued")
    assert len(numbers(run, "cancelled")) == 2 and state(numbers(run, "cancelled")[0]) == "CANCELLED"
    assert numbers(run, "requeued") == [requeued], "Slurm runs the same job again, and no retry is spent"


def test_a_cancelled_job_is_submitted_again_where_only_the_accounting_knows_of_it(reference, project):
    run = started(project, ["cancelled"], "--slurm-status-command", "sacct", steady=False)
    wait_until_it_trains(project, "cancelled")
    called("scancel", job(run, "cancelled"))
    run.succeeded()
    assert_same_bits(project, "cancelled", reference, "brief")
    first, second = numbers(run, "cancelled")
    said = called("sacct", "-X", "-P", "--noheader", "--format=JobIdRaw,State", f"--jobs={first},{second}")
    assert said.splitlines() == [f"{first}|CANCELLED by {os.getuid()}", f"{second}|COMPLETED"]
    (used,) = (project / "logs/slurm").glob("efficiency_report_*.csv")
    assert "train_fold" in used.read_text(), "what jobs asked for and did not use"


def test_preempted_jobs_go_on_whether_the_partition_requeues_or_cancels_them(reference, project):
    evicted = training_of(project, "evicted")
    place = f"train_fold:slurm_partition='spare' if wildcards.training == '{evicted}' else 'cpu'"
    run = started(project, ["preempted", "evicted"], "--set-resources", place)
    for model in ("preempted", "evicted"):
        wait_until_it_trains(project, model)
    called(
        "sbatch", "--partition=urgent", "--nodes=2", "--exclusive", "--time=1", "--output=/dev/null", "--wrap=sleep 2"
    )
    run.succeeded()
    assert_went_on(project, reference, "preempted", "evicted")
    assert len(numbers(run, "preempted")) == 1
    assert len(numbers(run, "evicted")) == 2 and state(numbers(run, "evicted")[0]) == "PREEMPTED"


def test_a_job_whose_node_goes_down_goes_on_on_another(reference, project):
    run = started(project, ["stranded"])
    wait_until_it_trains(project, "stranded")
    node = called("squeue", "--noheader", "--format=%N", f"--jobs={job(run, 'stranded')}").strip()
    called("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    try:
        run.succeeded()
    finally:
        called("scontrol", "update", f"nodename={node}", "state=resume")
    assert_went_on(project, reference, "stranded")


def test_a_controller_that_is_killed_and_started_again_ends_in_the_same_bits(reference, project):
    first = started(project, ["orphaned"])
    wait_until_it_trains(project, "orphaned")
    old = job(first, "orphaned")
    first.killed()
    second = started(project, ["orphaned"])
    new = job(second, "orphaned")
    second.succeeded()
    assert_same_bits(project, "orphaned", reference, "brief")
    assert (state(old), state(new)) == ("FAILED", "COMPLETED")
    assert f"process {first.process.pid} since" in second.printed() and "Its lock is removed" in second.printed()
    said = (project / f"logs/slurm/rule_train_fold/{training_of(project, 'orphaned')}_fold-0/{old}.log").read_text()
    assert "of this job" in said and "has ended, so this job ends" in said


def test_a_scheduler_that_does_not_answer_for_a_while_loses_nothing(reference, project):
    run = started(project, ["unattended"])
    wait_until_it_trains(project, "unattended")
    does_not_answer(STATE / "slurmctld.pid", 20)
    run.succeeded()
    assert_same_bits(project, "unattended", reference, "brief")
    assert len(numbers(run, "unattended")) == 1 and "INFO continuing from" not in log_of(project, "unattended")


def test_a_job_killed_for_its_memory_is_tried_with_more(reference, project):
    few = "train_fold:mem_mb=60 if attempt == 1 else 4000"
    run = started(project, ["again"], "--set-resources", few)
    run.succeeded()
    first, second = numbers(run, "again")
    assert state(first) in {"OUT_OF_MEMORY", "FAILED", "CANCELLED"} and state(second) == "COMPLETED"
    assert "MinMemoryNode=60M" in called("scontrol", "show", "job", first)
    assert_same_bits(project, "again", reference, "alone")


def test_missing_gpus_are_an_error_that_names_node_and_job_and_the_cap_on_gpus_holds(project):
    run = started(project, ["gpu_a", "gpu_b"], "--retries", 0, "--resources", "gpu=1")
    printed = run.failed()
    spans = []
    for model in ("gpu_a", "gpu_b"):
        (number,) = numbers(run, model)
        assert f"(scheduler job {number}, CUDA_VISIBLE_DEVICES=" in printed
        said = called("scontrol", "show", "job", number)
        assert "Partition=gpu" in said and "gres:gpu:1" in said
        spans.append(tuple(re.findall(r"(?:StartTime|EndTime)=(\S+)", said)))
    assert "ERROR The recipe asks for 1 GPU(s), and torch sees none on" in printed
    spans.sort()
    assert all(end <= start for (_, end), (start, _) in pairwise(spans)), spans


def test_a_request_that_no_node_can_meet_and_an_account_that_is_not_known_are_errors(project):
    printed = started(project, ["greedy"], "--retries", 0).failed()
    assert "Requested node configuration is not available" in printed
    unknown = ("--retries", 0, "--set-resources", "train_fold:slurm_account=unknown")
    assert "The given account unknown appears to be invalid" in started(project, ["cancelled"], *unknown).failed()


def test_a_training_on_two_nodes_ends_where_one_process_does(reference, project):
    run = started(project, ["spanning"])
    run.succeeded()
    said = called("scontrol", "show", "job", job(run, "spanning"))
    assert "NumNodes=2" in said and "NumTasks=2" in said
    alone, spanning = (
        load_file(folder / weights(folder, model)[0]) for folder, model in ((reference, "alone"), (project, "spanning"))
    )
    assert all(torch.allclose(alone[name].double(), spanning[name].double(), rtol=0, atol=1e-5) for name in alone)


@pytest.mark.timeout(14400)
def ends_in_the_same_bits_after_kills_at_random_moments(finished, tmp_path):
    folder = clone(tmp_path)

    def start():
        run = Snakemake(folder, *OPTIONS, *FEW, *QUICK, profile="slurm", steady=True)
        return run.process, run.file

    assert_same_bits_after_kills(folder, start, finished[0])


if KILLS:  # an hour on a busy machine
    test_the_study_ends_in_the_same_bits_after_kills_at_random_moments = (
        ends_in_the_same_bits_after_kills_at_random_moments
    )
