"""A study's resources before anything runs: jobs, GPU and CPU hours, memory, disk and resumes, stage by stage."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from melanoma.costs import TRAINING, Study, checkpoint_bytes, job_bytes, job_hours, runs_needed
from melanoma.dag import FETCH, Job

HEADINGS = {
    "stage": "stage",
    "model": "model",
    "where": "where",
    "jobs": "jobs",
    "gpus": "GPUs",
    "threads": "threads",
    "memory": "memory, GB",
    "limit": "limit, h",
    "hours": "longest takes",
    "gpu_hours": "GPU hours",
    "cpu_hours": "CPU hours",
    "disk": "disk, GB",
    "runs": "runs each",
}


@dataclass(frozen=True)
class Row:
    """Jobs of one stage, and of one model where it is trained or predicts.

    `gpus`, `threads`, `memory` (GB) and `limit` (h) are those of one job; `hours` and `runs` those of the longest;
    `disk` (GB) is what all of them leave. `runs` is in how many runs a job ends under its limit, or the cluster's if
    that is shorter.
    """

    stage: str
    model: str
    where: str
    jobs: int
    gpus: int
    threads: int
    memory: float
    limit: float
    hours: float
    gpu_hours: float
    cpu_hours: float
    disk: float
    runs: int


@dataclass(frozen=True)
class Plan:
    """A study's rows in the order of its stages, and what concerns all of them.

    `path` is the hours of the longest chain of jobs, which no number of GPUs shortens. `overhead` is the time that
    Snakemake's start takes in the scheduler's jobs as a share of their hours; `delay` that and the time until each end
    is noticed, along the longest chain, as a share of its hours. `resume_disk` (GB) is what the checkpoints of all
    trainings would take at once.
    """

    rows: list[Row]
    scheduler_jobs: int
    local_jobs: int
    job_hours: float
    path: float
    overhead: float
    delay: float
    resume_disk: float

    @property
    def retries(self) -> int:
        """How often a profile must at least try again, if nothing goes wrong."""
        return max(row.runs for row in self.rows) - 1


def make_plan(jobs: Sequence[Job], study: Study, limit_hours: float) -> Plan:
    """Return the plan of a study's jobs on a cluster that lets no job run for more than `limit_hours`."""
    hours = {job.id: job_hours(study, job) for job in jobs}
    stages: dict[str, dict[str, list[Job]]] = defaultdict(lambda: defaultdict(list))
    for job in in_order(jobs):
        stages[_stage(job)][job.model if job.rule in (*TRAINING, "predict_model") else ""].append(job)
    scheduled = [job for job in jobs if not job.local]
    scheduler = study.costs["scheduler"]
    start, notice = scheduler["start_seconds"] / 3600, scheduler["poll_seconds"] / 3600
    planned = sum(hours[job.id] for job in scheduled)
    path = critical_path(jobs, hours)
    delayed = critical_path(jobs, {job.id: hours[job.id] + (0 if job.local else start + notice) for job in jobs})
    return Plan(
        rows=[
            _row(stage, model, group, study, limit_hours)
            for stage, models in stages.items()
            for model, group in models.items()
        ],
        scheduler_jobs=len(scheduled),
        local_jobs=len(jobs) - len(scheduled),
        job_hours=planned,
        path=path,
        overhead=len(scheduled) * start / planned,
        delay=delayed / path - 1,
        resume_disk=sum(checkpoint_bytes(study, job) for job in jobs) / 1e9,
    )


def in_order(jobs: Iterable[Job]) -> list[Job]:
    """Return the jobs so that each comes after those it needs; apart from that, as they were given."""
    given = {job.id: job for job in jobs}
    placed: dict[int, Job] = {}

    def place(job: Job) -> None:
        for needed in sorted(job.needs):
            if needed not in placed:
                place(given[needed])
        placed.setdefault(job.id, job)

    for job in given.values():
        place(job)
    return list(placed.values())


def critical_path(jobs: Iterable[Job], hours: dict[int, float]) -> float:
    """Return the hours of the longest chain of jobs of which each needs the one before."""
    end: dict[int, float] = {}
    for job in in_order(jobs):
        end[job.id] = hours[job.id] + max((end[needed] for needed in job.needs), default=0.0)
    return max(end.values())


def table(plan: Plan) -> pd.DataFrame:
    """Return the rows as a table, columns named as in Row, with their numbers unrounded."""
    return pd.DataFrame([asdict(row) for row in plan.rows])


def markdown(plan: Plan, study: Study, limit_hours: float) -> str:
    """Return the plan as a page of Markdown."""
    rows = [_cells(row) for row in plan.rows]
    total = ["all", "", "", sum(row.jobs for row in plan.rows), "", "", "", "", ""]
    total += [_number(sum(getattr(row, name) for row in plan.rows)) for name in ("gpu_hours", "cpu_hours", "disk")]
    lines = [list(HEADINGS.values()), ["---"] * len(HEADINGS), *rows, [*total, ""]]
    page = "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in lines)
    title = f"# Plan of {study.config['study']}, {study.images:,} images"
    return f"{title}\n\n{page}\n\n{_remarks(plan, study, limit_hours)}"


def _row(stage: str, model: str, jobs: list[Job], study: Study, limit_hours: float) -> Row:
    hours = [job_hours(study, job) for job in jobs]
    limits = [min(job.runtime / 60 or limit_hours, limit_hours) for job in jobs]
    first = jobs[0]
    return Row(
        stage=stage,
        model=model,
        where="login node" if first.local else "GPU" if first.gpus else "CPU",
        jobs=len(jobs),
        gpus=first.gpus,
        threads=first.threads,
        memory=max(job.memory for job in jobs) / 1000,
        limit=max(job.runtime for job in jobs) / 60,
        hours=max(hours),
        gpu_hours=sum(hour * job.gpus for hour, job in zip(hours, jobs, strict=True)),
        cpu_hours=sum(hour * job.threads * job.nodes for hour, job in zip(hours, jobs, strict=True)),
        disk=sum(job_bytes(study, job) for job in jobs) / 1e9,
        runs=max(runs_needed(study, job, limit) for job, limit in zip(jobs, limits, strict=True)),
    )


def _stage(job: Job) -> str:
    """The rule, but for fetching, which has a rule for each file."""
    return "fetch" if job.rule.startswith(FETCH) else job.rule


def _cells(row: Row) -> list[object]:
    cells = asdict(row) | {"hours": _duration(row.hours)}
    return [_number(value) if isinstance(value, float) else value for value in cells.values()]


def _duration(hours: float) -> str:
    """Seconds below two minutes, minutes below two hours."""
    seconds = hours * 3600
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if hours < 2 else f"{hours:.1f} h"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value >= 0.01 else "<0.01" if value else "0"


def _remarks(plan: Plan, study: Study, limit_hours: float) -> str:
    scheduler, gpu = study.costs["scheduler"], study.costs["gpu"]["name"]
    late = [row for row in plan.rows if row.stage not in TRAINING and row.limit and row.hours > row.limit]
    remarks = [
        f"GPU hours are an estimate for one {gpu}, from published speeds; yours: --gpu-speed, --images-per-second. A"
        " training is taken to run all of its epochs.",
        f"{plan.scheduler_jobs} jobs of the scheduler and {plan.local_jobs} on the login node. Snakemake's start,"
        f" {scheduler['start_seconds']} s in each, is {plan.overhead:.2%} of their {_number(plan.job_hours)} hours.",
        f"The longest chain of jobs takes {_duration(plan.path)} with GPUs enough, and {plan.delay:.2%} more for starts"
        f" and until each end is noticed, {scheduler['poll_seconds']} s; time in the queue is not counted.",
        f"With no job over {limit_hours:g} h, a training takes {plan.retries + 1} run(s) at most. The profile's retries"
        f" must be at least {plan.retries}, and one more for each fault that a job is to outlive.",
        f"Checkpoints take {_number(plan.resume_disk)} GB if all trainings run at once; they go as each ends.",
    ]
    remarks += [f"{row.stage} takes longer than its limit of {_number(row.limit)} h: give it more." for row in late]
    return "\n".join(f"- {remark}" for remark in remarks) + "\n"
