"""A study on clusters of many sizes: makespan, GPU hours and lost work, with and without resume.

    python benchmarks/cluster_plan.py                        writes results/cluster_plan.md
    python benchmarks/cluster_plan.py --configfile studies/isic2020.yaml --images 33126 --gpus 4 --wait 2 \\
        --preemption 0.05 --output plan.md

The jobs are those of `snakemake -n`, their hours those of scripts/melanoma/costs.yaml: an estimate, not a measurement.
"""

import argparse
import math
import statistics
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

from conditions import markdown

from cluster import Cluster, Outcome, Task, simulate

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from melanoma.costs import TRAINING, Study, job_hours
from melanoma.dag import Job, study_jobs
from melanoma.files import read_yaml, write_text
from melanoma.plan import critical_path
from melanoma.study import resolve

ROOT = Path(__file__).parents[1]
PREVALENCE = 584 / 33126
COLUMNS = ["images", "GPUs", "preemptions / h", "ideal, h", "GPU hours"]
COLUMNS += [f"{way}{column}" for way in ("resume", "anew") for column in (", h", ": GPU hours", ": lost", ": runs")]


def study_tasks(jobs: list[Job], study: Study) -> list[Task]:
    """Return a study's jobs as tasks; each run of a job on a GPU or of a training starts its Python anew."""
    scheduler, training = study.costs["scheduler"]["start_seconds"], study.costs["training"]["start_seconds"]
    tasks = []
    for job in jobs:
        again = training if job.rule in (*TRAINING, "predict_model") else 0
        tasks.append(
            Task(
                id=job.id,
                hours=job_hours(study, job) - again / 3600,
                gpus=0 if job.local else job.gpus,
                slots=0 if job.local or job.gpus else job.threads,
                needs=job.needs,
                start=0.0 if job.local else (scheduler + again) / 3600,
                resumable=job.rule in TRAINING,
            )
        )
    return tasks


def mean_outcome(tasks: list[Task], cluster: Cluster, seeds: int) -> Outcome:
    """Return the mean of each figure over the seeds, but of `runs` the greatest."""
    outcomes = [simulate(tasks, cluster, seed) for seed in range(seeds)]
    means = {name: statistics.mean(getattr(outcome, name) for outcome in outcomes) for name in vars(outcomes[0])}
    return Outcome(**means | {"runs": max(outcome.runs for outcome in outcomes)})


def rows(jobs: list[Job], args: argparse.Namespace, gpus: list[int], preemption: list[float]) -> Iterator[list[str]]:
    """Yield a row for each number of images, of GPUs, and rate of preemption."""
    config = resolve(read_yaml(args.configfile))
    for images, places, rate in product(args.images, gpus, preemption):
        study = Study(config, images, PREVALENCE)
        tasks = study_tasks(jobs, study)
        harsh = replace(cluster_of(study, args), gpus=places, preemption=rate)
        calm = replace(harsh, limit=math.inf, wait=0.0, preemption=0.0, failure=0.0)
        ideal = mean_outcome(tasks, calm, seeds=1)
        cells = [f"{images:,}", str(places), f"{rate:g}", _hours(ideal.makespan), _hours(ideal.gpu_hours)]
        for cluster in (harsh, replace(harsh, checkpoint=None)):
            cells += _cells(mean_outcome(tasks, cluster, args.seeds))
        yield cells


def cluster_of(study: Study, args: argparse.Namespace) -> Cluster:
    """Return the smallest cluster that the options describe, before any preemption."""
    scheduler = study.costs["scheduler"]
    return Cluster(
        gpus=args.gpus[0],
        slots=args.slots,
        limit=args.limit,
        wait=args.wait,
        notice=scheduler["poll_seconds"] / 3600,
        failure=args.failure,
        repair=args.repair,
        checkpoint=args.checkpoint / 60,
        leave_early=scheduler["leave_early_seconds"] / 3600,
    )


def page(jobs: list[Job], args: argparse.Namespace) -> str:
    """Return the page of results."""
    table = markdown(COLUMNS, list(rows(jobs, args, args.gpus, args.preemption[:1])))
    faults = markdown(COLUMNS, list(rows(jobs, args, [args.gpus[len(args.gpus) // 2]], args.preemption)))
    return f"# {args.configfile.stem} on clusters\n\n{conditions_of(args)}\n{table}\n{faults}\n{chain(jobs, args)}"


def conditions_of(args: argparse.Namespace) -> str:
    """Say what the tables are about."""
    return f"""Means of {args.seeds} seeds. `ideal` has no faults, no limit and no queue. The others have

- a limit of {args.limit:g} h, and a mean wait of {args.wait:g} h in the queue for each run;
- for each hour of a run the stated preemptions and {args.failure:g} failures of its node, away for {args.repair:g} h;
- {args.slots} CPU slots.

`resume` saves every {args.checkpoint:g} min and leaves in time. `anew` starts each run from nothing, and never ends
where a training is longer than the limit. `lost` is GPU hours of work that had to be done again, also by predictions,
which do not resume. `runs` is the most of one job in any seed: retries must be one less. GPU hours are an estimate for
an A100.
"""


def chain(jobs: list[Job], args: argparse.Namespace) -> str:
    """Say how many jobs must be queued one after the other."""
    scheduled = {job.id: float(not job.local) for job in jobs}
    length = critical_path(jobs, scheduled)
    return (
        f"{len(jobs)} jobs, {sum(scheduled.values()):.0f} of them of the scheduler. The longest chain has {length:.0f}"
        f" of these: {length * args.wait:g} h in the queue at {args.wait:g} h each.\n"
    )


def _cells(outcome: Outcome) -> list[str]:
    if math.isinf(outcome.makespan):
        return ["never"] * 4
    return [_hours(outcome.makespan), _hours(outcome.gpu_hours), _hours(outcome.lost), str(outcome.runs)]


def _hours(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def main() -> None:
    """Simulate and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configfile", type=Path, default=ROOT / "studies" / "isic2020.yaml", help="the study")
    parser.add_argument("--images", type=int, nargs="+", default=[33_126, 400_000])
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 2, 4, 8, 16, 64])
    parser.add_argument("--slots", type=int, default=64, help="CPU threads at once")
    parser.add_argument("--limit", type=float, default=24, help="hours of the longest run")
    parser.add_argument("--wait", type=float, default=0.5, help="mean hours in the queue, for each run")
    parser.add_argument("--preemption", type=float, nargs="+", default=[0.02, 0.1, 0.5], help="for each hour of a run")
    parser.add_argument("--failure", type=float, default=0.001, help="of a node, for each hour of a run")
    parser.add_argument("--repair", type=float, default=4, help="hours until a failed node is back")
    parser.add_argument("--checkpoint", type=float, default=10, help="minutes between two")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "cluster_plan.md")
    args = parser.parse_args()
    write_text(args.output, page(study_jobs(args.configfile), args))
    print(args.output.read_text())


if __name__ == "__main__":
    main()
