"""A cluster as a simulation: GPUs and CPU slots, queue waits, time limits, preemption and failing nodes.

Tasks are submitted when those they need are done, wait in the queue, and start first come first served; a later one
goes first where only it fits. All that is random is drawn by (seed, task, run), so that two clusters that differ in one
thing meet the same luck.
"""

import heapq
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np


@dataclass(frozen=True)
class Task:
    """A job: hours of work on `gpus` GPUs, or without any on `slots` CPU slots; with neither, on the login node.

    Each run of it takes `start` hours before it works. A resumable task keeps the work of its last checkpoint when its
    run ends early; any other starts anew.
    """

    id: int
    hours: float
    gpus: int = 0
    slots: int = 0
    needs: frozenset[int] = frozenset()
    start: float = 0.0
    resumable: bool = False

    @property
    def pool(self) -> str:
        """What the task takes its places from."""
        return "gpus" if self.gpus else "slots"

    @property
    def width(self) -> int:
        """How many places it takes."""
        return self.gpus or self.slots


@dataclass(frozen=True)
class Cluster:
    """What the scheduler has and does; times in hours, rates per hour of a run.

    limit: longest run. wait: mean of the exponential time in the queue. notice: until the end of a run is seen, and
    what follows is submitted. preemption: rate at which a run is stopped. failure: rate at which its node fails, whose
    places are then away for `repair`. checkpoint: time between two; None is training that cannot resume. leave_early:
    how long before the limit a resumable task saves and leaves.
    """

    gpus: int
    slots: int
    limit: float = math.inf
    wait: float = 0.0
    notice: float = 0.0
    preemption: float = 0.0
    failure: float = 0.0
    repair: float = 0.0
    checkpoint: float | None = 1 / 6
    leave_early: float = 0.0

    def resumes(self, task: Task) -> bool:
        """Tell whether a task goes on where it was."""
        return task.resumable and self.checkpoint is not None

    def longest_run(self, task: Task) -> float:
        """Return how long a run of the task may take."""
        return self.limit - self.leave_early if self.resumes(task) else self.limit

    def can_finish(self, task: Task) -> bool:
        """Tell whether the task ends at all under the limit."""
        work = self.longest_run(task) - task.start
        return work > 0 if self.resumes(task) else work >= task.hours or task.width == 0


@dataclass
class Outcome:
    """What came of it, in hours; infinite makespan and nothing else where a task cannot finish under the limit.

    gpu_hours is what was allotted, added up over time; work, lost and overhead are GPU hours by what became of them.
    runs is the most of one task.
    """

    makespan: float = 0.0
    gpu_hours: float = 0.0
    work: float = 0.0
    lost: float = 0.0
    overhead: float = 0.0
    runs: int = 0


@dataclass(frozen=True)
class Run:
    """One run of a task: how long it takes, what of its work stays, and how it ends."""

    task: Task
    takes: float
    kept: float
    lost: float = 0.0
    finished: bool = False
    node_failed: bool = False


def simulate(tasks: Sequence[Task], cluster: Cluster, seed: int = 0) -> Outcome:
    """Return what comes of all tasks; raise ValueError where one asks for more than the cluster has."""
    for task in tasks:
        if task.width > getattr(cluster, task.pool):
            raise ValueError(f"task {task.id} asks for {task.width} {task.pool}, more than the cluster has")
    if not all(cluster.can_finish(task) for task in tasks):
        return Outcome(makespan=math.inf)
    return _Simulation(tasks, cluster, seed).run()


def next_run(task: Task, cluster: Cluster, saved: float, luck: np.random.Generator) -> Run:
    """Return the next run of a task of whose work `saved` hours are done."""
    left = task.hours - saved
    if task.width == 0:
        return Run(task, left, left, finished=True)
    end, limit = task.start + left, cluster.longest_run(task)
    preempted, failed = (
        luck.exponential(1 / rate) if rate else math.inf for rate in (cluster.preemption, cluster.failure)
    )
    takes = min(end, limit, preempted, failed)
    if takes == end:
        return Run(task, takes, left, finished=True)
    worked = max(takes - task.start, 0.0)
    if not cluster.resumes(task):
        kept = 0.0
    elif takes == limit:
        kept = worked
    else:
        kept = worked // cluster.checkpoint * cluster.checkpoint
    return Run(task, takes, kept, worked - kept, node_failed=takes == failed)


class _Simulation:
    """The state of a simulation: free places, what is saved of each task, the queue, and the events to come."""

    def __init__(self, tasks: Sequence[Task], cluster: Cluster, seed: int) -> None:
        self.tasks = {task.id: task for task in tasks}
        self.cluster, self.seed = cluster, seed
        self.free = {"gpus": cluster.gpus, "slots": cluster.slots}
        self.missing = {task.id: set(task.needs) for task in tasks}
        self.followers: dict[int, list[int]] = defaultdict(list)
        for task in tasks:
            for needed in task.needs:
                self.followers[needed].append(task.id)
        self.saved = dict.fromkeys(self.tasks, 0.0)
        self.runs = dict.fromkeys(self.tasks, 0)
        self.queue: list[tuple[float, int]] = []
        self.events: list[tuple[float, int, str, object]] = []
        self.ties = count()
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Take one event after the other until none is left."""
        for task in self.tasks.values():
            if not task.needs:
                self.submit(task, 0.0)
        now, busy = 0.0, 0
        while self.events:
            time, _, kind, what = heapq.heappop(self.events)
            self.outcome.gpu_hours += busy * (time - now)
            now = time
            match kind:
                case "queued":
                    self.queue.append((now, what.id))
                case "stopped":
                    busy -= what.task.gpus
                    self.stop(what, now)
                case "free":
                    self.free[what.pool] += what.width
            busy += self.start_what_fits(now)
        return self.outcome

    def submit(self, task: Task, now: float) -> None:
        """Put a task into the queue; it has waited its turn after a random time."""
        self.runs[task.id] += 1
        wait = self.luck(task, "wait").exponential(self.cluster.wait) if self.cluster.wait and task.width else 0.0
        self.at(now + wait, "queued", task)

    def start_what_fits(self, now: float) -> int:
        """Start the runs for which there are places, in the order of the queue; return how many GPUs they take."""
        gpus, waiting = 0, []
        for entry in self.queue:
            task = self.tasks[entry[1]]
            if self.free[task.pool] < task.width:
                waiting.append(entry)
                continue
            self.free[task.pool] -= task.width
            gpus += task.gpus
            run = next_run(task, self.cluster, self.saved[task.id], self.luck(task, "run"))
            self.at(now + run.takes, "stopped", run)
        self.queue = waiting
        return gpus

    def stop(self, run: Run, now: float) -> None:
        """Keep the books of a run, give its places back, and submit what follows: the task again, or those after it."""
        task, outcome = run.task, self.outcome
        self.at(now + (self.cluster.repair if run.node_failed else 0.0), "free", task)
        self.saved[task.id] += run.kept
        outcome.work += task.gpus * run.kept
        outcome.lost += task.gpus * run.lost
        outcome.overhead += task.gpus * (run.takes - run.kept - run.lost)
        outcome.makespan = max(outcome.makespan, now)
        outcome.runs = max(outcome.runs, self.runs[task.id])
        seen = now + (self.cluster.notice if task.width else 0.0)
        if not run.finished:
            self.submit(task, seen)
            return
        for follower in self.followers[task.id]:
            self.missing[follower].discard(task.id)
            if not self.missing[follower]:
                self.submit(self.tasks[follower], seen)

    def luck(self, task: Task, what: str) -> np.random.Generator:
        """Return the random numbers of one run of one task."""
        return np.random.default_rng([self.seed, task.id, self.runs[task.id], ("wait", "run").index(what)])

    def at(self, time: float, kind: str, what: object) -> None:
        """Let something happen; of what happens at one time, the first to be told is the first to happen."""
        heapq.heappush(self.events, (time, next(self.ties), kind, what))
