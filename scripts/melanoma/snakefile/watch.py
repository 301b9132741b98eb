"""How far a run of a study is, from what its jobs write: plan, logs and benchmark files. It imports no Snakemake."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Literal

from melanoma.common.errors import InputError
from melanoma.common.files import read_json
from melanoma.common.job_logs import PERMANENT, Record, last_attempt

if TYPE_CHECKING:
    from melanoma.snakefile.plan import Plan, PlannedJob

State = Literal["done", "running", "waiting", "failed"]
EPOCH = re.compile(r"epoch (\d+) of (\d+): ")
BATCHES = re.compile(r"(\d+) of (\d+), [\d.]+ a second")
SPEED = re.compile(r"images per second ([\d.e+]+)")
# A running job that logs nothing for so long (s) may have been killed without a message.
SILENT = 600


@dataclass(frozen=True)
class Job:
    """A job of a run. `left` estimates its remaining seconds, None if unknown; `news` is what a running job reports."""

    name: str
    stage: str
    state: State
    left: float | None
    news: str = ""


@dataclass(frozen=True)
class Run:
    """A run of a study: its jobs in the order of the plan, and whether its Snakemake has ended."""

    jobs: list[Job]
    ended: bool


def read_run(results: Path, now: datetime) -> Run:
    """Return the state of the latest run of the study in `results`, such as results/demo. `now` is local time.

    A finished job of a rule is the estimate for its other jobs. A training is estimated from its own epochs.
    Raises InputError if there is no plan.
    """
    root, logs = results.absolute().parents[1], Path("logs", results.absolute().name)
    path = root / logs / "plan.json"
    if not path.exists():
        raise InputError(f"{path}: no such file; snakemake writes it when it starts to run the study {results.name}")
    plan: Plan = read_json(path)
    since, record = path.stat().st_mtime, results / "record.json"
    ended = record.exists() and record.stat().st_mtime >= since
    durations: dict[str, list[float]] = defaultdict(list)
    for job in plan["jobs"]:
        durations[job["rule"]] += _duration(root / job["benchmark"])
    means = {rule: mean(seconds) for rule, seconds in durations.items() if seconds}
    jobs = [_job(job, root, since, ended, means.get(job["rule"]), now) for job in plan["jobs"]]
    return Run(jobs, ended)


def table(study: str, run: Run) -> str:
    """Return the state of a run as text: the study, a line for each stage, and a line for each running job."""
    stages = _stages(run)
    left = {stage: _stage_left(jobs) for stage, jobs in stages.items()}
    lines = [f"{study}: {_counts(run.jobs)}; {'ended' if run.ended else time_left(run) or _left(None)}"]
    for stage, jobs in stages.items():
        end = "" if run.ended or left[stage] == 0 else f"; {_left(left[stage])}"
        lines.append(f"  {stage:<10} {_counts(jobs)}{end}")
        lines += [
            f"    {job.name}: {', '.join(filter(None, [job.news, _left(job.left)]))}"
            for job in jobs
            if job.state == "running"
        ]
        lines += [f"    {job.name}: failed" for job in jobs if job.state == "failed"]
    return "\n".join(lines)


def time_left(run: Run) -> str:
    """Return the time that a run still takes, one stage after the other, as far as it is known; empty if nothing is.

    Examples: 12 min left; at least 12 min left, if nothing is known of some stage.
    """
    stages = [_stage_left(jobs) for jobs in _stages(run).values()]
    known, unknown = sum(filter(None, stages)), None in stages
    if unknown and not known:
        return ""
    return ("at least " if unknown else "") + _left(known)


def duration(seconds: float) -> str:
    """Return a duration in the largest fitting unit, such as 40 s, 12 min or 3 h 20 min."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _counts(jobs: Sequence[Job]) -> str:
    states = [job.state for job in jobs]
    others: tuple[State, ...] = ("running", "waiting", "failed")
    counts = [f"{states.count(state)} {state}" for state in others if state in states]
    return ", ".join([f"{states.count('done')} of {len(states)} jobs done", *counts])


def _stages(run: Run) -> dict[str, list[Job]]:
    stages: dict[str, list[Job]] = {}
    for job in run.jobs:
        stages.setdefault(job.stage, []).append(job)
    return stages


def _stage_left(jobs: Iterable[Job]) -> float | None:
    """Return the seconds that a stage still takes if as many jobs run at once as now; None if unknown."""
    open_jobs = [job for job in jobs if job.state in ("running", "waiting")]
    seconds = [job.left for job in open_jobs if job.left is not None]
    if len(seconds) < len(open_jobs):
        return None
    running = sum(job.state == "running" for job in open_jobs)
    return max(sum(seconds) / max(running, 1), max(seconds, default=0))


def _left(seconds: float | None) -> str:
    return "time left unknown" if seconds is None else f"{duration(seconds)} left"


def _duration(benchmark: Path) -> list[float]:
    """Return the seconds of a finished job, alone in a list; an empty list without a complete benchmark file."""
    lines = benchmark.read_text().splitlines() if benchmark.exists() else []
    return [float(lines[1].split("\t")[0])] if len(lines) > 1 else []


def _job(job: "PlannedJob", root: Path, since: float, ended: bool, usual: float | None, now: datetime) -> Job:
    """Return the state of a planned job whose rule's jobs take `usual` seconds, in a run since `since` (epoch, s)."""
    benchmark = root / job["benchmark"]
    name = str(Path(*Path(job["log"]).parts[2:]).with_suffix(""))
    if not job["needed"] or (benchmark.exists() and benchmark.stat().st_mtime >= since):
        return Job(name, job["stage"], "done", 0)
    records = last_attempt(root / job["log"], since)
    if any(record.level == PERMANENT for record in records) or (records and ended):
        return Job(name, job["stage"], "failed", 0)
    if not records:
        return Job(name, job["stage"], "waiting", usual)
    own = training_left(records, now)
    left = own if own is not None or usual is None else max(usual - _seconds(records[0].time, now), 0)
    return Job(name, job["stage"], "running", left, news(records, now))


def training_left(records: Sequence[Record], now: datetime) -> float | None:
    """Return the seconds that a training still takes for all its epochs; None before it has logged enough."""
    points = [(record.time, share) for record in records if (share := _share(record.message)) is not None]
    if not points or points[-1][1] <= points[0][1]:
        return None
    (first, start), (last, share) = points[0], points[-1]
    return max((1 - share) * _seconds(first, last) / (share - start) - _seconds(last, now), 0)


def news(records: Sequence[Record], now: datetime) -> str:
    """Return the epoch and the speed of a training, or what another job logged last."""
    epochs = [match for record in records if (match := EPOCH.match(record.message))]
    speeds = [match for record in records if (match := SPEED.search(record.message))]
    if epochs:
        parts = [f"epoch {epochs[-1][1]} of {epochs[-1][2]}"]
    else:
        parts = [records[-1].message.splitlines()[0][:70]] if len(records) > 1 else []
    if speeds:
        parts.append(f"{float(speeds[-1][1]):.0f} images/s")
    silence = _seconds(records[-1].time, now)
    if silence > SILENT:
        parts.append(f"no message for {duration(silence)}")
    return ", ".join(parts)


def _share(message: str) -> float | None:
    """Return the share of a training that is done, from a message about its progress; None from another message."""
    epoch, batches = EPOCH.match(message), BATCHES.search(message)
    if epoch is None:
        return None
    part = int(batches[1]) / int(batches[2]) if batches else 1
    return (int(epoch[1]) - 1 + part) / int(epoch[2])


def _seconds(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds()
