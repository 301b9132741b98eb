"""The commands of docs/clusters.md can be planned or parsed, and its files exist."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from project import ROOT
from workflow import clone, put_kaggle_tables, snakemake

TEXT = (ROOT / "docs" / "clusters.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
# What only a scheduler, a network or conda can answer.
ELSEWHERE = ("git clone", "module load", "tmux", "squeue", ". .venv", "make install", "cd $SCRATCH", "srun")


def commands(word: str) -> list[str]:
    """The commands that begin with a word, each planned once, but for those that conda has to answer."""
    planned = dict.fromkeys(line.replace(" -n ", " ") for line in COMMANDS)
    return [line for line in planned if line.startswith(word) and "--sdm" not in line]


@pytest.mark.parametrize("command", commands("snakemake"))
def test_a_snakemake_command_plans(tmp_path, monkeypatch, command):
    """In a clone at ~/melanoma, or from a folder in scratch where the command names the clone."""
    scratch = tmp_path / "scratch"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SCRATCH", str(scratch))
    code, run = tmp_path / "melanoma", scratch / "run"
    for folder in (code, run):
        folder.mkdir(parents=True)
    clone(code)
    if "data/isic2020" not in command:
        put_kaggle_tables(code)
        shutil.copytree(code / "data", run / "data")
    words = [os.path.expandvars(Path(word).expanduser()) for word in shlex.split(command)[1:]]
    printed = snakemake(run if "-s" in words else code, *words, *([] if "--unlock" in words else ["-n"]))
    expected = {"--unlock": "Unlocked", "data/isic2020": "fetch_data_isic2020_jpeg_train"}
    assert next((said for word, said in expected.items() if word in command), "train_fold") in printed


def test_a_python_command_is_one_of_the_readme_whose_test_runs_it():
    assert set(commands("python")) <= set((ROOT / "README.md").read_text().splitlines())


def test_no_other_command_is_on_the_page():
    assert all(line.startswith(("snakemake", "python", *ELSEWHERE)) for line in COMMANDS)


def test_the_options_for_conda_exist():
    known = subprocess.run([sys.executable, "-m", "snakemake", "--help"], capture_output=True, text=True).stdout
    for option in re.findall(r"--[a-z-]*(?:conda|apptainer|sdm)[a-z-]*", TEXT):
        assert option in known


def test_every_file_that_the_page_names_exists():
    named = re.findall(r"\]\(\.\./([^)#]+)\)", TEXT) + re.findall(r"`((?:scripts|profiles|envs)/[\w./-]+)`", TEXT)
    assert named
    for name in named:
        assert (ROOT / name).exists(), name
