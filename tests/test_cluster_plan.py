"""The simulated cluster: cases worked out by hand, bounds of list scheduling, and books that balance."""

import math
from dataclasses import replace

import pytest
from cluster_plan import study_tasks
from hypothesis import given
from hypothesis import strategies as st

from cluster import Cluster, Task, next_run, simulate
from melanoma.costs import Study
from melanoma.dag import Job
from melanoma.plan import critical_path
from melanoma.study import resolve


class Luck:
    """Random numbers that are given: first of preemption, then of failure."""

    def __init__(self, *hours: float) -> None:
        self.hours = iter(hours)

    def exponential(self, mean: float) -> float:
        return next(self.hours)


@st.composite
def graphs(draw, most: int = 8) -> list[Task]:
    """Tasks of one GPU each, each needing some of those before it."""
    hours = draw(st.lists(st.floats(0.1, 9), min_size=1, max_size=most))
    needs = [
        draw(st.frozensets(st.integers(0, number - 1), max_size=3)) if number else frozenset()
        for number in range(len(hours))
    ]
    return [
        Task(number, hour, gpus=1, needs=needed, start=0.05, resumable=draw(st.booleans()))
        for number, (hour, needed) in enumerate(zip(hours, needs, strict=True))
    ]


FAULTY = Cluster(2, 8, limit=12, wait=0.5, notice=0.01, preemption=0.05, failure=0.02, repair=2, leave_early=0.1)


def makespan(tasks: list[Task], **cluster: float) -> float:
    return simulate(tasks, Cluster(**{"gpus": 1, "slots": 4} | cluster)).makespan


def test_two_jobs_share_one_gpu_one_after_the_other_and_two_at_once():
    tasks = [Task(0, 3.0, gpus=1), Task(1, 2.0, gpus=1)]
    assert (makespan(tasks, gpus=1), makespan(tasks, gpus=2)) == (5.0, 3.0)


def test_a_job_starts_when_what_it_needs_is_done_and_seen():
    tasks = [Task(0, 1.0, slots=1), Task(1, 2.0, gpus=1, needs=frozenset({0})), Task(2, 5.0, slots=1)]
    assert makespan(tasks) == 5.0
    assert makespan(tasks[:2], notice=0.25) == 3.25


def test_a_job_on_two_gpus_waits_for_both_while_a_smaller_one_goes_first():
    """On 2 GPUs: a (1 GPU, 2 h) and c (1 GPU, 1 h) start, b (2 GPUs, 1 h) follows at 2 h."""
    tasks = [Task(0, 2.0, gpus=1), Task(1, 1.0, gpus=2), Task(2, 1.0, gpus=1)]
    assert makespan(tasks, gpus=2) == 3.0


def test_a_job_of_60_hours_takes_three_runs_under_a_limit_of_24():
    """Each run works for 24 - 0.1 - 0.5 h; the third has the rest."""
    outcome = simulate([Task(0, 60.0, gpus=1, start=0.5, resumable=True)], Cluster(1, 0, limit=24, leave_early=0.1))
    assert outcome.runs == 3
    assert outcome.makespan == pytest.approx(60 + 3 * 0.5)
    assert outcome.lost == 0


@pytest.mark.parametrize("task", [Task(0, 60.0, gpus=1, resumable=True), Task(0, 60.0, gpus=1)])
def test_without_resume_a_job_longer_than_the_limit_never_ends(task):
    assert makespan([task], limit=24, checkpoint=None) == math.inf


def test_a_limit_that_leaves_no_time_to_work_never_ends():
    assert makespan([Task(0, 1.0, gpus=1, start=0.5, resumable=True)], limit=0.55, leave_early=0.1) == math.inf


@pytest.mark.parametrize(
    ("resumable", "saved", "preempted", "failed", "expected"),
    [
        (True, 0.0, 3.3, 9.9, (3.3, 2.0, 0.8, False, False)),  # .5 h to start, 2.8 h of work, saved after 1 and 2
        (False, 0.0, 3.3, 9.9, (3.3, 0.0, 2.8, False, False)),
        (True, 4.0, 99.0, 2.0, (2.0, 1.0, 0.5, False, True)),
        (True, 0.0, 0.25, 9.9, (0.25, 0.0, 0.0, False, False)),  # stopped before it worked
        (True, 4.0, 99.0, 99.0, (6.5, 6.0, 0.0, True, False)),
        (True, 0.0, 99.0, 99.0, (7.0, 6.5, 0.0, False, False)),  # leaves 1 h before its 8, and loses nothing
    ],
)
def test_what_stays_of_a_run(resumable, saved, preempted, failed, expected):
    cluster = Cluster(1, 0, limit=8, preemption=1, failure=1, checkpoint=1.0, leave_early=1.0)
    task = Task(0, 10.0, gpus=1, start=0.5, resumable=resumable)
    run = next_run(task, cluster, saved, Luck(preempted, failed))
    assert (run.takes, run.kept, run.lost, run.finished, run.node_failed) == pytest.approx(expected)


def test_what_runs_on_the_login_node_neither_waits_nor_fails_nor_takes_a_place():
    tasks = [Task(number, 1.0) for number in range(9)]
    assert makespan(tasks, gpus=0, slots=0, wait=5, preemption=9, notice=1) == 1.0


def test_a_job_larger_than_the_cluster_is_refused():
    with pytest.raises(ValueError, match="task 7 asks for 3 gpus"):
        simulate([Task(7, 1.0, gpus=3)], Cluster(2, 0))


@given(graphs(), st.integers(1, 5))
def test_without_faults_the_makespan_is_within_the_bounds_of_list_scheduling(tasks, gpus):
    """At least the longest chain and the work over the GPUs, at most their sum (Graham 1969)."""
    hours = {task.id: task.hours + task.start for task in tasks}
    chain, share = critical_path(tasks, hours), sum(hours.values()) / gpus
    found = makespan(tasks, gpus=gpus)
    assert max(chain, share) - 1e-9 <= found <= chain + share + 1e-9


@given(graphs(), st.integers(0, 9))
def test_allotted_hours_are_work_and_what_was_lost_and_what_it_took_to_start(tasks, seed):
    outcome = simulate(tasks, FAULTY, seed)
    assert outcome.gpu_hours == pytest.approx(outcome.work + outcome.lost + outcome.overhead)
    assert outcome.work == pytest.approx(sum(task.hours for task in tasks))
    assert outcome.makespan * FAULTY.gpus >= outcome.gpu_hours - 1e-9


@given(graphs(), st.integers(0, 9))
def test_resuming_never_takes_more_gpu_hours_than_starting_anew(tasks, seed):
    """The same luck meets both: whatever run would have ended the job anew ends the one that resumes, too."""
    cluster = replace(FAULTY, limit=math.inf)
    resumed, anew = (simulate(tasks, replace(cluster, checkpoint=every), seed) for every in (0.25, None))
    assert resumed.gpu_hours <= anew.gpu_hours + 1e-9
    assert resumed.lost <= anew.lost + 1e-9
    assert resumed.runs <= anew.runs


@given(graphs(), st.integers(0, 9))
def test_with_gpus_enough_resuming_is_never_slower(tasks, seed):
    cluster = replace(FAULTY, gpus=len(tasks), limit=math.inf, failure=0.0)
    resumed, anew = (simulate(tasks, replace(cluster, checkpoint=every), seed).makespan for every in (0.25, None))
    assert resumed <= anew + 1e-9


@given(st.integers(1, 30), st.floats(0.1, 5), st.integers(1, 16))
def test_more_gpus_are_never_slower_for_jobs_that_are_alike(number, hours, gpus):
    tasks = [Task(each, hours, gpus=1) for each in range(number)]
    assert makespan(tasks, gpus=gpus) == pytest.approx(math.ceil(number / gpus) * hours)
    assert makespan(tasks, gpus=gpus + 1) <= makespan(tasks, gpus=gpus) + 1e-9


@given(graphs())
def test_the_same_seed_gives_the_same_outcome(tasks):
    assert simulate(tasks, FAULTY, 3) == simulate(tasks, FAULTY, 3)


def test_twice_the_gpus_are_never_slower_for_a_study_of_training_and_preparation():
    shards = [Task(number, 0.2, slots=4) for number in range(16)]
    split = Task(16, 0.1, slots=1, needs=frozenset(range(16)))
    training = [Task(17 + n, 1 + n % 5, gpus=1, needs=frozenset({16}), resumable=True) for n in range(24)]
    spans = [makespan([*shards, split, *training], gpus=gpus, slots=64) for gpus in (1, 2, 4, 8, 16, 32, 64)]
    assert spans == sorted(spans, reverse=True)
    assert spans[-1] == pytest.approx(0.2 + 0.1 + 5)


def test_a_study_becomes_tasks_of_which_only_training_resumes():
    config = resolve(
        {
            "study": "s",
            "data": {"sources": [{"name": "a", "generate": {}}]},
            "models": {"m": {"network": "metadata_mlp"}},
        }
    )
    jobs = [
        Job(0, "write_settings", local=True),
        Job(1, "build_catalog", threads=2, needs=frozenset({0})),
        Job(2, "train_fold", {"model": "m", "fold": "0"}, threads=4, gpus=1, needs=frozenset({1})),
    ]
    local, catalog, training = study_tasks(jobs, Study(config, 1000, 0.02))
    assert (local.width, catalog.slots, training.gpus, training.slots) == (0, 2, 1, 0)
    assert [task.resumable for task in (local, catalog, training)] == [False, False, True]
    assert training.needs == {1} and training.start > catalog.start > local.start == 0
