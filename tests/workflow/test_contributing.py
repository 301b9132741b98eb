"""The examples of CONTRIBUTING.md work in a copy of the project."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

from melanoma.common.files import read_json
from project import ROOT
from workflow import SNAKEMAKE, clone

TEXT = (ROOT / "CONTRIBUTING.md").read_text()
EXAMPLES = dict(re.findall(r"^### (.+)\n((?:(?!^##).*\n)*)", TEXT, re.MULTILINE))


class Change(NamedTuple):
    """A place in a file, found by its text, and the text that takes its place."""

    file: str
    before: str
    after: str


def changes(block: str) -> list[Change]:
    """Read a block of changes: files begin with ---, places in one file are apart by @@."""
    found = []
    for name, body in re.findall(r"^--- (\S+)\n((?:(?!--- ).*\n)*)", block, re.MULTILINE):
        for place in body.split("@@\n"):
            lines = place.splitlines()
            before, after = ("\n".join(line[1:] for line in lines if line[0] in kept) for kept in (" -", " +"))
            found.append(Change(name, before, after))
    return found


def follow(folder: Path, example: str) -> None:
    """Do what an example says, block by block."""
    for kind, block in re.findall(r"```(\w+)\n(.*?)```", EXAMPLES[example], re.DOTALL):
        if kind == "diff":
            for change in changes(block):
                text = (folder / change.file).read_text()
                assert text.count(change.before) == 1, f"{change.file} has not once:\n{change.before}"
                (folder / change.file).write_text(text.replace(change.before, change.after))
        elif kind == "sh":
            for command in block.splitlines():
                run(folder, command)
        else:
            name, _, content = block.removeprefix("# ").partition("\n")
            assert not (folder / name).exists(), f"{name} is there already"
            (folder / name).write_text(content)


def run(folder: Path, command: str) -> None:
    """Run a command of the page as in an activated environment; it must succeed."""
    path = os.pathsep.join([str(SNAKEMAKE.parent), os.environ["PATH"]])
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=os.environ | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-6000:]}"


@pytest.fixture
def project(tmp_path):
    """A clone that has pytest's settings, too."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return clone(tmp_path)


@pytest.mark.large
def test_a_network_is_added_and_a_study_trains_it(project):
    follow(project, "Add a network")
    predictions = pd.read_parquet(project / "results" / "mean_color" / "predict" / "color.parquet")
    assert len(predictions) and predictions["probability"].between(0, 1).all()
    (training,) = (project / "results" / "mean_color" / "recipes").iterdir()
    assert training.name.startswith("mean_color-") and "backbone" not in training.read_text()


@pytest.mark.large
def test_a_table_layout_is_added_and_tables_are_read_by_it(project):
    follow(project, "Add a table layout")


@pytest.mark.large
def test_a_metric_is_added_and_has_an_interval(project):
    follow(project, "Add a metric")
    (entry,) = read_json(project / "metrics.json").values()
    assert entry["bias"]["value"] == pytest.approx((0.9 + 0.7 + 0.4 + 0.2) / 4 - 1 / 2)
    assert entry["bias"]["low"] <= entry["bias"]["value"] <= entry["bias"]["high"]


def test_these_are_all_examples_of_the_page():
    assert list(EXAMPLES) == ["Add a network", "Add a table layout", "Add a metric"]


def test_every_file_that_the_page_names_is_there_or_made_by_an_example():
    made = set(re.findall(r"```(?:python|yaml)\n# (\S+)\n", TEXT))
    named = set(re.findall(r"`([\w./-]+/[\w./-]*|[\w-]+\.(?:yaml|md))`", TEXT))
    assert "scripts/melanoma/stats/bootstrap.py" in named and made
    for name in named - made - {"../shared/data"}:
        assert (ROOT / name).exists(), name


def test_every_target_of_make_that_the_page_names_exists():
    targets = set(re.findall(r"\bmake ([a-z-]+)", "\n".join(re.findall(r"`[^`]+`|```.*?```", TEXT, re.DOTALL))))
    assert {"install", "lint", "test", "demo", "test-cluster", "docs", "lock"} <= targets
    for target in targets:
        subprocess.run(["make", target, "--dry-run"], cwd=ROOT, check=True, capture_output=True)
