"""Slurm: whether the partitions, their limits, the GPU model and the account of the profile exist on this cluster."""

import getpass
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from melanoma.common.files import read_yaml
from melanoma.doctor.answers import NoAnswer, answer
from melanoma.doctor.findings import Finding, fault, note, ok, warning
from melanoma.doctor.profile import Job, Profile, minutes

SUBJECT = "Slurm"
# One line for each node: partition, time limit, memory (MB), CPUs, generic resources, state of the partition.
SINFO = ("sinfo", "--noheader", "--Node", "--format=%P|%l|%m|%c|%G|%a")
GPUS = re.compile(r"gpu:(?:([^:,(]+):)?(\d+)")
# The names of limits in the file of the partitions, and of those of a job.
LIMITS = {"max_runtime": "runtime", "max_mem_mb": "mem_mb", "max_threads": "threads", "max_gpu": "gpus"}
UNITS = {"max_runtime": "minutes", "max_mem_mb": "MB", "max_threads": "threads", "max_gpu": "GPUs"}


@dataclass
class Partition:
    """What the cluster says of a partition: the most that one of its nodes has, by the names in LIMITS."""

    up: bool = True
    most: dict[str, float] = field(default_factory=lambda: dict.fromkeys(LIMITS, 0.0))
    models: set[str] = field(default_factory=set)


def check_slurm(profile: Profile, jobs: Iterable[Job]) -> list[Finding]:
    """Compare the profile and the requests of a study with what sinfo and sacctmgr say."""
    try:
        cluster = _partitions(answer(*SINFO))
    except NoAnswer as error:
        cure = (
            "run this on a login node of the cluster, after `module load slurm` where that is needed; if the controller"
            " does not answer (`scontrol ping`), wait or tell the site; without Slurm, use --profile local"
        )
        return [fault(SUBJECT, str(error), cure)]
    file = Path(os.environ.get("SNAKEMAKE_SLURM_PARTITIONS") or profile.folder / "partitions.yaml")
    mine = (read_yaml(file) or {}).get("partitions", {}) if file.is_file() else {}
    findings = [finding for name in mine for finding in _partition(name, mine[name] or {}, cluster, file)]
    findings += [*_fits(mine, jobs, file), *_model(profile, cluster), *_account(profile)]
    good = f"the partitions {', '.join(mine)} of {file.name} exist, with their limits; all models fit"
    if not mine:
        good = f"{file} has no partitions, so all jobs go to Slurm's default one"
    return findings if any(each.level == "FAULT" for each in findings) else [ok(SUBJECT, good), *findings]


def _partitions(printed: str) -> dict[str, Partition]:
    found: dict[str, Partition] = {}
    for line in printed.splitlines():
        name, limit, memory, cpus, resources, state = line.strip().split("|")
        partition = found.setdefault(name.rstrip("*"), Partition())
        gpus = GPUS.findall(resources)
        values = (minutes(limit), _number(memory), _number(cpus), float(sum(int(count) for _, count in gpus)))
        partition.most = {key: max(partition.most[key], value) for key, value in zip(LIMITS, values, strict=True)}
        partition.models |= {model for model, _ in gpus if model}
        partition.up &= state == "up"
    return found


def _number(text: str) -> float:
    digits = re.match(r"\d+", text)
    return float(digits.group()) if digits else float("inf")


def _partition(name: str, limits: dict[str, Any], cluster: dict[str, Partition], file: Path) -> Iterator[Finding]:
    if name not in cluster:
        text = f"{file}: the cluster has no partition {name}"
        yield fault(SUBJECT, text, f"name one of {', '.join(cluster) or 'none'} (sinfo), or remove it")
        return
    if not cluster[name].up:
        yield warning(SUBJECT, f"partition {name} is not up, so its jobs wait", "name another one, or ask the site")
    for key, most in cluster[name].most.items():
        given = limits.get(key)
        if isinstance(given, int | float) and given > most:
            text = f"{file}: {key} of {name} is {given}, and the cluster allows {most:g} {UNITS[key]}"
            yield fault(SUBJECT, text, f"set {key} of {name} to {most:g}")


def _fits(mine: dict[str, Any], jobs: Iterable[Job], file: Path) -> Iterator[Finding]:
    """Report the jobs that no partition of the file can take."""
    for job in jobs:
        if mine and not any(_takes(limits or {}, job) for limits in mine.values()):
            text = (
                f"{job.name} asks for {job.runtime} minutes, {job.mem_mb} MB, {job.threads} threads and"
                f" {job.gpus} GPUs, and no partition of {file.name} allows that"
            )
            cure = (
                "lower its resources (it continues after its runtime), or raise the limits in the file where"
                " the cluster allows more (sinfo)"
            )
            yield fault(SUBJECT, text, cure)


def _takes(limits: dict[str, Any], job: Job) -> bool:
    """Tell whether a partition takes a job, as the plugin decides it: a missing limit is none, but no GPU."""
    values = {"max_gpu": 0, **limits}
    numbers = ((values[key], getattr(job, name)) for key, name in LIMITS.items() if key in values)
    return all(asked <= (most if isinstance(most, int | float) else float("inf")) for most, asked in numbers)


def _model(profile: Profile, cluster: dict[str, Partition]) -> Iterator[Finding]:
    model, known = profile.defaults.get("gpu_model"), set().union(*(each.models for each in cluster.values()))
    if model and model not in known:
        text = f"{profile.file}: the cluster has no GPU model {model}"
        cure = f"set gpu_model to one of {', '.join(sorted(known)) or 'none'} (sinfo -o %G), or remove the line"
        yield fault(SUBJECT, text, cure)


def _account(profile: Profile) -> Iterator[Finding]:
    user, account = getpass.getuser(), profile.defaults.get("slurm_account")
    try:
        printed = answer("sacctmgr", "-n", "-P", "show", "assoc", f"user={user}", "format=account")
    except NoAnswer as error:
        yield note(SUBJECT, f"the account {account or '(none given)'} is not checked: {error}")
        return
    known = sorted(set(printed.split()))
    if known and (account or "").lower() not in known:
        text = f"{profile.file}: slurm_account is {account or 'missing'}, which is no account of {user}"
        yield fault(SUBJECT, text, f"set slurm_account to one of {', '.join(known)}")
