"""Grid Engine: whether the requests of the profile (qsub -l and -pe) exist on this cluster, and its time limits."""

import re
from collections.abc import Iterable, Iterator

from melanoma.doctor.answers import NoAnswer, answer
from melanoma.doctor.findings import Finding, fault, ok
from melanoma.doctor.profile import Job, Profile, minutes

SUBJECT = "Grid Engine"
PARALLEL = "shared"  # the parallel environment that sge-submit requests
TIME_LIMIT = re.compile(r"^h_rt\s+(.+)$", re.MULTILINE)
DAY = 1440  # minutes; sge-submit refuses a longer job without highp


def check_grid_engine(profile: Profile, jobs: list[Job]) -> list[Finding]:
    """Compare the requests of the jobs with what qconf says."""
    try:
        complexes = _complexes(answer("qconf", "-sc"))
        environments = answer("qconf", "-spl").split()
        limits = TIME_LIMIT.findall(answer("qconf", "-sq", "*").replace("\\\n", ""))
    except NoAnswer as error:
        cure = (
            "run this on a login node of the cluster; if qconf is unknown there, load its settings"
            " (`. /u/local/Modules/default/init/modules.sh` on Hoffman2); without Grid Engine, use --profile local"
        )
        return [fault(SUBJECT, str(error), cure)]
    findings = [*_requests(profile, jobs, complexes), *_environment(jobs, environments), *_times(profile, jobs, limits)]
    asked = ", ".join(_asked(profile, jobs))
    return findings or [ok(SUBJECT, f"the requests {asked} exist, and no queue is too short for a model")]


def _complexes(printed: str) -> dict[str, bool]:
    """Return whether each complex can be requested, by its name and by its shortcut."""
    rows = [line.split() for line in printed.splitlines() if line and not line.startswith("#")]
    return {name: row[4] != "NO" for row in rows if len(row) >= 5 for name in row[:2]}


def _asked(profile: Profile, jobs: list[Job]) -> list[str]:
    """Return the complexes that profiles/hoffman2/bin/sge-submit requests for the jobs."""
    gpu = ["gpu", profile.defaults.get("gpu_model", ""), "cuda"] if any(job.gpus for job in jobs) else []
    return ["h_rt", "h_data", *gpu, *(["highp"] if _highp(profile) else [])]


def _highp(profile: Profile) -> bool:
    return profile.defaults.get("highp", "0") != "0"


def _requests(profile: Profile, jobs: list[Job], complexes: dict[str, bool]) -> Iterator[Finding]:
    for name in _asked(profile, jobs):
        if complexes.get(name):
            continue
        text = f"the jobs request {name or 'a GPU model, and none is given'}, which this cluster does not have"
        cure = "change `requests` in profiles/hoffman2/bin/sge-submit to the names of this cluster (qconf -sc)"
        if name == profile.defaults.get("gpu_model", ""):
            known = [each for each in ("A100", "H100", "H200", "L40S", "A6000", "V100") if complexes.get(each)]
            cure = f"set gpu_model in {profile.file} to one that it has ({', '.join(known) or 'see qconf -sc'})"
        yield fault(SUBJECT, text, cure)


def _environment(jobs: list[Job], environments: list[str]) -> Iterator[Finding]:
    if any(job.threads > 1 for job in jobs) and PARALLEL not in environments:
        text = f"the jobs request the parallel environment {PARALLEL}, and there are {', '.join(environments)}"
        cure = (
            "put the name of the one for cores of a single node (qconf -sp NAME: $pe_slots) into"
            " profiles/hoffman2/bin/sge-submit"
        )
        yield fault(SUBJECT, text, cure)


def _times(profile: Profile, jobs: Iterable[Job], limits: list[str]) -> Iterator[Finding]:
    """Report the jobs that run longer than a job may. A limit is a default, then [HOST=LIMIT] for hosts."""
    parts = [part.strip(" []") for limit in limits for part in limit.split(",")]
    times = [minutes(part.rpartition("=")[2]) for part in parts]
    longest = max(times, default=float("inf"))
    longest = longest if _highp(profile) else min(longest, DAY)
    for job in jobs:
        if job.runtime > longest:
            text = f"{job.name} asks for {job.runtime} minutes, and a job gets {longest:g}"
            cure = (
                f"set its resources.runtime to at most {longest:g}: it continues in the next job; or"
                " set highp=1 in the profile, for nodes of your group"
            )
            yield fault(SUBJECT, text, cure)
