"""The commands of the README run, or are planned if they need a cluster or data."""

import re
import subprocess
import sys

import pytest
import yaml

from fake_commands import fake_slurm
from foreign_tables import kaggle, write, write_images
from melanoma.common.files import write_json
from melanoma.config.study import resolve
from melanoma.training.schedules import rate_factor
from project import ROOT
from workflow import clone, jobs, put_kaggle_tables, snakemake

TEXT = (ROOT / "README.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
STUDY, NEW = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A clone with the data and the study that the README tells the reader to put there, on a cluster with Slurm."""
    fake_slurm(tmp_path / "cluster", monkeypatch)
    put_kaggle_tables(clone(tmp_path))
    mine = tmp_path / "data" / "mine"
    write_images(list(kaggle()["image_name"]), mine / "jpeg")
    write(kaggle(), mine / "train.csv")
    (tmp_path / "studies" / "mine.yaml").write_text(STUDY)
    (tmp_path / "new.yaml").write_text(NEW)
    (tmp_path / "new_images").mkdir()
    write_json(tmp_path / "bundles/demo/bundle.json", {"thresholds": {"youden": 0.5}})
    (tmp_path / "predictions.csv").write_text("image_name,target,prob,patient_id\na,1,.9,p\nb,0,.2,q\nc,0,.4,r\n")
    return tmp_path


def test_the_study_in_the_readme_is_valid_and_short():
    assert resolve(yaml.safe_load(STUDY)).study == "mine" and len(STUDY.splitlines()) <= 32


def test_the_readmes_network_has_weights_and_a_learning_rate_above_0_to_the_end():
    recipe = resolve(yaml.safe_load(STUDY)).models["image"]
    rates = [rate_factor(recipe.schedule, recipe.epochs, epoch) for epoch in range(recipe.epochs)]
    assert recipe.weights_file and rates[0] == 1 and sum(rates) > recipe.epochs / 2 and min(rates) > 0


def test_the_readmes_study_downloads_its_weights(project):
    weights = project / resolve(yaml.safe_load(STUDY)).models["image"].weights_file
    weights.unlink(missing_ok=True)
    assert "fetch_data_weights" in snakemake(project, "-n", "--configfile", "studies/mine.yaml")


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("snakemake")])
def test_a_snakemake_command_plans(project, command):
    planned = jobs(snakemake(project, *command.split()[1:], "-n"))
    expected = {"new.yaml": "classify", "studies/isic2020_tables.yaml": "predict_tabular"}
    assert expected.get(command.split()[-1], "train_fold") in planned


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make")])
def test_a_make_target_exists_and_is_run_by_ci(command):
    subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, check=True, capture_output=True)
    assert re.search(rf"^{command}\b", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command, marks=pytest.mark.large if "doctor" in command else ())
        for command in COMMANDS
        if command.startswith("python") and "bundle" not in command
    ],
)
def test_a_python_command_runs(project, command):
    subprocess.run(command.replace("python", sys.executable, 1), shell=True, cwd=project, check=True)


def test_no_other_command_is_in_the_readme():
    known = ("snakemake", "make", "python", ". .venv/bin/activate")
    assert COMMANDS and all(command.startswith(known) for command in COMMANDS)


def test_every_file_that_the_readme_names_exists():
    for name in re.findall(r"\]\(([^)#:]+)\)", TEXT) + re.findall(
        r"`((?:scripts|profiles|schemas|envs)/[\w./-]+)`", TEXT
    ):
        assert (ROOT / name).exists(), name
