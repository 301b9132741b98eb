"""A profile of Snakemake as far as the doctor reads it, and what the jobs of a study request."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melanoma.common.errors import InputError
from melanoma.common.files import read_yaml
from melanoma.common.provenance import ROOT
from melanoma.config.study import Study


@dataclass(frozen=True)
class Profile:
    """The folder of a profile, its options, and its default resources as texts."""

    folder: Path
    options: dict[str, Any]
    defaults: dict[str, str]

    @property
    def executor(self) -> str:
        """The name of the program that starts the jobs; local without a scheduler."""
        return str(self.options.get("executor", "local"))

    @property
    def file(self) -> Path:
        """The path of the file that a user edits."""
        return self.folder / "config.yaml"


@dataclass(frozen=True)
class Job:
    """What a job requests: GPUs and threads of each node, memory (MB) and time (minutes).

    `name` says whose job it is, as "model cnn" or "classification june".
    """

    name: str
    gpus: int
    threads: int
    mem_mb: int
    runtime: int


def read_profile(name: str) -> Profile:
    """Return the profile that `--profile NAME` gives; raise InputError if there is none."""
    folders = [Path(name), ROOT / "profiles" / name, Path.home() / ".config/snakemake" / name]
    folder = next((each for each in folders if (each / "config.yaml").is_file()), None)
    if folder is None:
        names = {path.parent.name for path in (ROOT / "profiles").glob("*/config.yaml")} - {"default"}
        known = ", ".join(sorted(names))
        raise InputError(f"--profile {name}: no folder with a config.yaml; there are {known}")
    options = read_yaml(folder / "config.yaml") or {}
    given = options.get("default-resources") or []
    pairs = given.items() if isinstance(given, dict) else (item.split("=", 1) for item in given)
    return Profile(folder, options, {key: str(value).strip() for key, value in pairs})


def study_jobs(study: Study) -> list[Job]:
    """Return what the jobs of each model and of each classification request."""
    requests = {f"model {name}": recipe.resources for name, recipe in study.models.items() if not recipe.is_external}
    requests |= {f"classification {name}": given.resources for name, given in study.classify.items()}
    return [Job(name, asked.gpus, asked.threads, asked.mem_mb, asked.runtime) for name, asked in requests.items()]


def minutes(text: str) -> float:
    """Return the minutes of a time as schedulers print it: DAYS-H:M:S, H:M:S, M:S, seconds, or a word for no limit."""
    days, _, clock = text.strip().rpartition("-")
    parts = clock.split(":")
    if not all(re.fullmatch(r"\d+", part) for part in parts):
        return float("inf")
    seconds = sum(int(part) * unit for part, unit in zip(reversed(parts), (1, 60, 3600), strict=False))
    return int(days or 0) * 1440 + seconds / 60
