"""All checks of the machine, in their order, each with its time limit."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from melanoma.compute.preemption import scheduler_job
from melanoma.config.study import Study
from melanoma.doctor.answers import NoAnswer, within
from melanoma.doctor.data import SECONDS, Reply, ask_servers, check_data, check_servers, missing_downloads
from melanoma.doctor.file_system import check_file_system
from melanoma.doctor.findings import Finding, fault, note
from melanoma.doctor.grid_engine import check_grid_engine
from melanoma.doctor.profile import Profile, study_jobs
from melanoma.doctor.slurm import check_slurm

# Seconds. The first import of torch from a network file system takes a minute; a scheduler is asked a few questions.
GPU_SECONDS, CHECK_SECONDS = 300.0, 120.0
GPU_JOB = {
    "slurm": "srun --gres=gpu:1 --time=10 python scripts/doctor.py --gpus 1",
    "cluster-generic": "qrsh -l gpu,h_rt=0:10:00, then python scripts/doctor.py --gpus 1",
}


def examine(study: Study, profile: Profile | None, gpus: int | None) -> list[Finding]:
    """Return the findings of all checks but that of the environment, for the current folder.

    `gpus` overrules the number of GPUs that the study asks for.
    """
    folder = Path.cwd()
    findings = checked("file system", CHECK_SECONDS, lambda: check_file_system(folder))
    findings += checked("data", CHECK_SECONDS, lambda: check_data(study))
    downloads = missing_downloads(study)
    replies: dict[str, Reply] = {}
    if downloads:
        with contextlib.suppress(NoAnswer):  # check_servers reports each server without a reply
            replies = within(3 * SECONDS, lambda: ask_servers(downloads))
    findings += check_servers(downloads, replies)
    findings += checked("disk", CHECK_SECONDS, lambda: disk(study, folder, replies))
    if profile is not None:
        findings += checked("scheduler", CHECK_SECONDS, lambda: scheduler(study, profile))
    return findings + gpu(study, profile, gpus)


def checked(subject: str, seconds: float, check: Callable[[], list[Finding]]) -> list[Finding]:
    """Return the findings of a check, or a fault if it does not end within `seconds`."""
    try:
        return within(seconds, check)
    except NoAnswer as error:
        cure = "try again on another node; if it stays, tell the site: this machine hangs or ends programs"
        return [fault(subject, f"the check gave no result: {error}", cure)]


def disk(study: Study, folder: Path, replies: dict[str, Reply]) -> list[Finding]:
    """Check the free disk."""
    from melanoma.doctor.disk import check_disk  # torch, in the process of the check alone

    return check_disk(study, folder, replies)


def scheduler(study: Study, profile: Profile) -> list[Finding]:
    """Check a profile with its scheduler."""
    if profile.executor == "slurm":
        return check_slurm(profile, study_jobs(study))
    if str(profile.options.get("cluster-generic-submit-cmd", "")).startswith("sge-submit"):
        return check_grid_engine(profile, study_jobs(study))
    return [] if profile.executor == "local" else [note("scheduler", f"{profile.executor} is not checked")]


def gpu(study: Study, profile: Profile | None, given: int | None) -> list[Finding]:
    """Check as many GPUs as the study asks for, or as are `given`.

    On a cluster, a login node has none. So those of the study are checked in a job alone.
    """
    gpus = max((job.gpus for job in study_jobs(study)), default=0) if given is None else given
    if gpus == 0:
        return []
    if profile is not None and profile.executor != "local" and given is None and scheduler_job() is None:
        how = GPU_JOB.get(profile.executor, "a GPU job with python scripts/doctor.py --gpus 1")
        return [note("GPU", f"not checked here, because GPU jobs run on other nodes. Check one of them: {how}")]

    def check() -> list[Finding]:
        from melanoma.doctor.gpu import check_gpus  # CUDA must start in a process that has not started it

        return check_gpus(gpus, {recipe.precision for recipe in study.models.values() if recipe.resources.gpus})

    return checked("GPU", GPU_SECONDS, check)
