"""Every command of docs/clusters.md plans or parses without a scheduler, and what the page says is there."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from workflow import clone, put_kaggle_tables, snakemake

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "clusters.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
PLAN = (ROOT / "benchmarks" / "results" / "plan.md").read_text()
# What only a scheduler, a network or conda can answer.
ELSEWHERE = ("git clone", "module load", "tmux", "squeue", ". .venv", "make .venv/installed", "make install")


def commands(word: str) -> list[str]:
    """The commands that begin with a word, each planned once, but for those that conda has to answer."""
    planned = dict.fromkeys(line.replace(" -n ", " ") for line in COMMANDS)
    return [line for line in planned if line.startswith(word) and "--sdm" not in line]


@pytest.mark.parametrize("command", commands("snakemake"))
def test_a_snakemake_command_plans(tmp_path, command):
    clone(tmp_path)
    if "data/isic2020" not in command:
        put_kaggle_tables(tmp_path)
    printed = snakemake(tmp_path, *shlex.split(command)[1:], *([] if "--unlock" in command else ["-n"]))
    expected = {"--unlock": "Unlocked", "data/isic2020": "fetch_data_isic2020_jpeg_train"}
    assert next((said for word, said in expected.items() if word in command), "train_fold") in printed


@pytest.mark.parametrize("command", commands("python"))
def test_a_python_command_has_options_that_exist(command):
    script, *options = shlex.split(command)[1:]
    known = subprocess.run([sys.executable, ROOT / script, "--help"], capture_output=True, text=True, check=True).stdout
    assert all(option in known for option in options if option.startswith("--"))


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


def test_the_keys_to_edit_are_in_the_profiles():
    slurm, hoffman2 = ((ROOT / "profiles" / name / "config.yaml").read_text() for name in ("slurm", "hoffman2"))
    assert "slurm_account=" in slurm and {"gpu_model=", "highp="} <= set(re.findall(r"\w+=", hoffman2))
    for profile in map(yaml.safe_load, (slurm, hoffman2)):
        assert profile["retries"] > 0 and any(cap.startswith("gpu=") for cap in profile["resources"])


def test_the_totals_on_the_page_are_those_of_the_plan():
    rows = [line.strip("| ").split(" | ") for line in PLAN.splitlines() if line.startswith("| ")]
    total = [cell for cell in rows[-1] if cell.strip()]
    jobs, gpu_hours, disk = total[1].strip(), total[-3].strip(), total[-1].strip(" |")
    shown = next(line for line in TEXT.splitlines() if line.startswith("| all |"))
    for figure in (jobs, re.search(r"(\d+) jobs of the scheduler", PLAN).group(1), gpu_hours, f"{disk} GB"):
        assert re.search(rf"\b{figure}\b", shown), figure
