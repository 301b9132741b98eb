"""The plan of a run: its jobs, written when it starts, so that `melanoma.snakefile.watch` can tell how far it is."""

from pathlib import Path
from typing import TypedDict

from snakemake.workflow import Workflow

from melanoma.common.files import write_json


class PlannedJob(TypedDict):
    """A job: its rule and stage, whether this run has to do it, and the paths of its log and its benchmark file.

    The stage is the name of the rule's file.
    """

    rule: str
    stage: str
    needed: bool
    log: str
    benchmark: str


class Plan(TypedDict):
    """The content of the plan: the jobs, in the order of the rules."""

    jobs: list[PlannedJob]


def write_plan(path: Path, workflow: Workflow) -> None:
    """Write the plan of a run that starts. Rules without a log, which only collect files, are left out."""
    place = {rule.name: number for number, rule in enumerate(workflow.rules)}
    jobs: list[PlannedJob] = [
        {
            "rule": job.rule.name,
            "stage": Path(job.rule.snakefile).stem,
            "needed": workflow.dag.needrun(job),
            "log": str(job.log[0]),
            "benchmark": str(job.benchmark),
        }
        for job in workflow.dag.jobs
        if job.log
    ]
    write_json(path, Plan(jobs=sorted(jobs, key=lambda job: (place[job["rule"]], job["log"]))))
