"""The jobs of a study, read from Snakemake's own dry run, so that no second list of rules can drift from the first."""

import re
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from melanoma.errors import InputError

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^rule (\w+):\n((?:    .*\n?)+)", re.MULTILINE)
LOCAL = re.compile(r"^localrules:\n((?:    .*\n)+)", re.MULTILINE)
FETCH = "fetch_"  # begins the name of a rule that downloads, one for each file
DRY_RUN = ("-n", "--forceall", "--nolock", "--cores", "4096")  # with fewer cores, fewer threads would be shown


@dataclass(frozen=True)
class Job:
    """One job: what it is, what it asks for, and the ids of the jobs whose outputs it reads.

    `memory` is in MB and `runtime`, its own limit, in minutes; 0 where the rule states none. `gpus` counts those of all
    `nodes`, `threads` those of one. A local job runs where Snakemake does and never meets the scheduler.
    """

    id: int
    rule: str
    wildcards: dict[str, str] = field(default_factory=dict)
    local: bool = False
    threads: int = 1
    gpus: int = 0
    nodes: int = 1
    memory: int = 0
    runtime: int = 0
    needs: frozenset[int] = frozenset()

    @property
    def model(self) -> str | None:
        """The model that the job works for, if it is one model's."""
        return self.wildcards.get("model")


def study_jobs(configfile: Path) -> list[Job]:
    """Return every job of a study, done or not, as `snakemake -n` plans them in the current folder.

    Raises InputError with Snakemake's own message where it cannot plan the study.
    """
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), *DRY_RUN]
    done = subprocess.run([*command, "--configfile", str(configfile)], capture_output=True, text=True)
    if done.returncode != 0:
        raise InputError(f"Snakemake cannot plan {configfile}:\n{(done.stdout + done.stderr).strip()[-2000:]}")
    return parse_dry_run(done.stdout, local_rules())


def local_rules() -> set[str]:
    """Return the rules that run where Snakemake does, apart from those that fetch; a dry run does not tell."""
    texts = [path.read_text() for path in (ROOT / "rules").glob("*.smk")]
    return {name for text in texts for names in LOCAL.findall(text) for name in re.findall(r"\w+", names)}


def parse_dry_run(printed: str, local: Collection[str]) -> list[Job]:
    """Return the jobs that a dry run prints, but for `all`, which does nothing; in the order of their printing."""
    blocks = [(rule, _entries(body)) for rule, body in BLOCK.findall(printed) if rule != "all"]
    maker = {path: int(entries["jobid"]) for _, entries in blocks for path in _list(entries.get("output", ""))}
    return [_job(rule in local or rule.startswith(FETCH), rule, entries, maker) for rule, entries in blocks]


def _job(local: bool, rule: str, entries: dict[str, str], maker: dict[str, int]) -> Job:
    resources = _pairs(entries.get("resources", ""))
    number = {key: int(value) for key, value in resources.items() if value.isdecimal()}
    return Job(
        id=int(entries["jobid"]),
        rule=rule,
        wildcards=_pairs(entries.get("wildcards", "")),
        local=local,
        threads=int(entries.get("threads", 1)),
        gpus=number.get("gpu", 0),
        nodes=number.get("nodes", 1),
        memory=number.get("mem_mb", 0),
        runtime=number.get("runtime", 0),
        needs=frozenset(maker[path] for path in _list(entries.get("input", "")) if path in maker),
    )


def _entries(body: str) -> dict[str, str]:
    """The lines `    key: value` of a job's block."""
    return dict(line.strip().split(": ", 1) for line in body.splitlines() if ": " in line)


def _list(text: str) -> list[str]:
    return text.split(", ") if text else []


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in _list(text))
