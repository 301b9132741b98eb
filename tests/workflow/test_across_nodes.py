"""The processes of a model's job, on one node or several, and the error without a scheduler for several."""

import os
import re
import shlex
import subprocess
import sys

import pytest
import yaml
from torch.distributed.run import parse_args

from across_nodes import command_line
from melanoma.common.job_logs import failed_permanently
from melanoma.config.facts import training_name
from melanoma.config.study import resolve
from project import ROOT
from workflow import clone, snakemake

pytestmark = pytest.mark.xdist_group("launch")  # one worker plans the commands for all tests


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """The command that trains a model, by the resources of its recipe."""
    folder = clone(tmp_path_factory.mktemp("launch"))
    study = yaml.safe_load((folder / "tests/studies/tiny.yaml").read_text())
    del study["fusions"]
    wanted = {"alone": {}, "pair": {"gpus": 2}, "far": {"gpus": 2, "nodes": 3, "threads": 8}, "cpus": {"nodes": 2}}
    # Another seed each: models of one recipe share a training.
    study["models"] = {
        name: study["models"]["cnn"] | {"resources": asked, "seed": seed}
        for seed, (name, asked) in enumerate(wanted.items())
    }
    names = {training_name(recipe): name for name, recipe in resolve(study).models.items()}
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    printed = snakemake(folder, "-n", "-p", "--profile", "slurm", "--configfile", "study.yaml")
    blocks = re.findall(r"^rule train_fold:\n((?:    .*\n)+)(.*scripts/train\.py --train.*)$", printed, re.MULTILINE)
    return {
        names[re.search(r"training=([\w-]+)", about)[1]]: (about, line.removeprefix("Shell command: ").strip())
        for about, line in blocks
    }


def test_one_process_is_started_by_python(commands):
    about, line = commands["alone"]
    assert line.strip().startswith("python scripts/train.py --train") and "mpi=" not in about


def test_torchrun_starts_the_gpus_of_one_node_and_keeps_the_options_of_the_script(commands):
    about, line = commands["pair"]
    program, *options = shlex.split(line)
    parsed = parse_args(options)
    assert program == "torchrun" and parsed.standalone and parsed.nproc_per_node == "2"
    assert parsed.training_script == "scripts/train.py" and "--log" in parsed.training_script_args
    assert "gpu=2" in about and "nodes=1" in about and "mpi=" not in about


def test_several_nodes_are_started_by_srun_with_torchrun_on_each(commands, monkeypatch):
    about, line = commands["far"]
    for word in ("gpu=6", "nodes=3", "mpi=srun", "tasks=3", "tasks_per_gpu=0", "slurm_extra=--gpus-per-node=2"):
        assert word in about
    program, script, *options = shlex.split(line)
    assert (program, script) == ("python", "scripts/across_nodes.py")
    assert options[:7] == ["--nodes", "3", "--gpus", "2", "--threads", "8", "scripts/train.py"]
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    started = command_line(3, 2, 8, options[6:])
    assert {"--nodes=3", "--ntasks=3", "--cpus-per-task=8", "--gpus-per-node=2"} <= set(
        started[: started.index("torchrun")]
    )
    parsed = parse_args(started[started.index("torchrun") + 1 :])
    assert (parsed.nnodes, parsed.nproc_per_node, parsed.rdzv_backend) == ("3", "2", "c10d")
    assert parsed.training_script == "scripts/train.py" and parsed.training_script_args == options[7:]


def test_a_recipe_for_the_cpus_of_several_nodes_has_a_process_on_each(commands, monkeypatch):
    about, _ = commands["cpus"]
    assert "gpu=0" in about and "tasks=2" in about and "gpus-per-node" not in about
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    started = command_line(2, 0, 1, ["scripts/train.py"])
    assert "--nproc-per-node=1" in started and not [word for word in started if word.startswith("--gpus")]


def test_several_nodes_without_slurm_are_an_error_that_says_which_profile_can(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    done = subprocess.run(
        [
            *(sys.executable, ROOT / "scripts/across_nodes.py", "--nodes=2", "--gpus=0", "--threads=1"),
            *("scripts/train.py", "--log", tmp_path / "train.log"),
        ],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "The recipe asks for 2 nodes, and this is no Slurm job" in done.stderr and "--profile slurm" in done.stderr
    assert failed_permanently(tmp_path / "train.log", 0)
