"""Runs the workflow in copies of the project, as a user would, and reads what Snakemake prints."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from melanoma.config.study import resolve
from melanoma.snakefile.dependencies import MODULES
from plans import plan
from project import ROOT

TINY = ("--configfile", "tests/studies/tiny.yaml")
TINY_EXTERNAL = (*TINY, "tests/studies/tiny_external.yaml")
LABELS = Path("results/tiny/split/test_labels.parquet")
# The user in whose home folder the finished study is.
USER = "gretaplanted"
SNAKEMAKE = Path(sys.executable).with_name("snakemake")
PROJECT = (
    "Snakefile",
    "config.yaml",
    "rules",
    "scripts",
    "schemas",
    "studies",
    "profiles",
    "envs",
    "report",
    "docs",
    "tests",
    "slurm",
    "hoffman2",
    "local",
)


def clone(folder: Path) -> Path:
    """Copy the project's files to `folder`, as a clone would, and what earlier runs know of its modules."""
    for name in PROJECT:
        source = ROOT / name
        if source.is_symlink():
            (folder / name).symlink_to(source.readlink())
        elif source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    if (ROOT / MODULES).is_file():
        (folder / MODULES).parent.mkdir(parents=True)
        shutil.copy(ROOT / MODULES, folder / MODULES)
    return folder


@contextmanager
def unreadable(path: Path) -> Iterator[None]:
    """Make a file one that cannot be read, of the same time, for as long as it takes; whoever is root may read any."""
    content, made = path.read_bytes(), path.stat().st_mtime_ns
    try:
        path.write_bytes(b"not to be read")
        os.utime(path, ns=(made, made))
        yield
    finally:
        path.write_bytes(content)
        os.utime(path, ns=(made, made))


@contextmanager
def planted_user(home: Path) -> Iterator[None]:
    """Be USER with the home folder `home` for as long as it takes; caches of libraries stay where they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")))
        patch.setenv("HOME", str(home))
        for name in ("USER", "LOGNAME"):
            patch.setenv(name, USER)
        yield


def put_kaggle_tables(folder: Path, rows: int = 40) -> None:
    """Put small tables, a folder without images and empty weights where studies/isic2020.yaml expects official ones."""
    data = folder / "data" / "isic2020"
    data.mkdir(parents=True)
    header = "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,benign_malignant,target"
    lines = [f"ISIC_{n:07d},IP_{n},male,40.0,torso,nevus,benign,0" for n in range(rows)]
    (data / "train.csv").write_text("\n".join([header, *lines]))
    (data / "train_folds_and_sizes.csv").write_text("image_name,width,height\n")
    (data / "ISIC_2020_Training_Duplicates.csv").write_text("image_name_1,image_name_2\n")
    (data / "jpeg" / "train").mkdir(parents=True)
    study = resolve(yaml.safe_load((folder / "studies" / "isic2020.yaml").read_text()))
    for weights in filter(None, (recipe.weights_file for recipe in study.models.values())):
        (folder / weights).parent.mkdir(exist_ok=True)
        (folder / weights).touch()


def snakemake(folder: Path, *options: object) -> str:
    """Run snakemake in `folder`, with no activated environment, and return what it printed; it must succeed."""
    done = failing(folder, *options)
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def failing(folder: Path, *options: object) -> subprocess.CompletedProcess[str]:
    """Run snakemake in `folder`, with no activated environment, and return its exit status and what it printed."""
    path = os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep) if Path(p) != SNAKEMAKE.parent)
    # Without it, Snakemake would show one line a job.
    arguments = ["--printshellcmds", *map(str, options)]
    environment = os.environ | {"PATH": path}
    if "-n" in arguments:
        return plan(folder, arguments, environment)
    return subprocess.run(
        [SNAKEMAKE, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def planned(folder: Path, *options: object) -> dict[str, int]:
    """Return how many jobs of each rule snakemake would run in `folder`."""
    return jobs(snakemake(folder, "-n", *options))


def jobs(printed: str) -> dict[str, int]:
    """Return how many jobs of each rule a dry run lists."""
    table = printed.split("Job stats:")[1].split("total")[0] if "Job stats:" in printed else ""
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}


def finished_rules(printed: str) -> set[str]:
    """Return the rules all of whose listed jobs a run has finished."""
    done = Counter(re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", printed, re.MULTILINE))
    return {name for name, count in jobs(printed).items() if done[name] == count}
