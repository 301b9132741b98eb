"""Slurm: a cluster that fits the profile, and all that may not fit."""

import getpass

import pytest

from fake_commands import FakeCommands
from melanoma.doctor import answers
from melanoma.doctor.profile import Job, Profile
from melanoma.doctor.slurm import check_slurm

CLUSTER = "cpu*|1-00:00:00|128000|64|(null)|up\ngpu|1-00:00:00|512000|64|gpu:a100:8(S:0-1)|up\n"
PARTITIONS = """partitions:
  cpu: {max_runtime: 1440, max_mem_mb: 128000, max_threads: 64}
  gpu: {max_runtime: 1440, max_mem_mb: 512000, max_threads: 64, max_gpu: 8}
"""
JOB = Job("model cnn", gpus=1, threads=8, mem_mb=32000, runtime=720)


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    monkeypatch.delenv("SNAKEMAKE_SLURM_PARTITIONS", raising=False)
    (tmp_path / "partitions.yaml").write_text(PARTITIONS)
    commands = FakeCommands(tmp_path / "bin", monkeypatch)
    commands.says("sinfo", CLUSTER)
    commands.says("sacctmgr", "lab\nother\n")
    return commands


def check(tmp_path, job=JOB, **defaults):
    return check_slurm(Profile(tmp_path, {"executor": "slurm"}, {"slurm_account": "lab"} | defaults), [job])


def test_a_profile_that_fits_the_cluster(cluster, tmp_path):
    (finding,) = check(tmp_path, gpu_model="a100")
    assert finding.level == "ok" and "cpu, gpu of partitions.yaml" in finding.text


def test_a_machine_without_slurm(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (finding,) = check(tmp_path)
    assert finding.level == "FAULT" and "no command sinfo" in finding.text and "login node" in finding.cure


def test_a_controller_that_hangs(cluster, tmp_path, monkeypatch):
    cluster.hangs("sinfo")
    monkeypatch.setattr(answers, "COMMAND_SECONDS", 0.2)
    (finding,) = check(tmp_path)
    assert "did not answer" in finding.text and "scontrol ping" in finding.cure


def test_a_partition_that_the_cluster_does_not_have(cluster, tmp_path):
    cluster.says("sinfo", CLUSTER.replace("gpu|", "gpu-long|"))
    (finding,) = check(tmp_path)
    assert "no partition gpu" in finding.text and "name one of cpu, gpu-long" in finding.cure


@pytest.mark.parametrize(
    ("old", "new", "cure"),
    [
        ("gpu|1-00:00:00", "gpu|12:00:00", "set max_runtime of gpu to 720"),
        ("512000", "256000", "set max_mem_mb of gpu to 256000"),
        ("512000|64", "512000|32", "set max_threads of gpu to 32"),
        ("gpu:a100:8", "gpu:a100:4", "set max_gpu of gpu to 4"),
    ],
)
def test_a_limit_above_that_of_the_cluster(cluster, tmp_path, old, new, cure):
    cluster.says("sinfo", CLUSTER.replace(old, new))
    assert [finding.cure for finding in check(tmp_path)] == [cure]


def test_a_partition_has_what_its_largest_node_has(cluster, tmp_path):
    cluster.says("sinfo", CLUSTER + "gpu|1-00:00:00|64000|8|gpu:v100:2|up\n")
    assert check(tmp_path, gpu_model="v100")[0].level == "ok"


def test_a_partition_that_is_down_is_a_warning(cluster, tmp_path):
    cluster.says("sinfo", CLUSTER.replace("(null)|up", "(null)|down"))
    finding = check(tmp_path)[1]
    assert finding.level == "warning" and "partition cpu is not up" in finding.text


@pytest.mark.parametrize("asked", [{"runtime": 2000}, {"mem_mb": 10**6}, {"threads": 128}, {"gpus": 9}])
def test_a_model_that_no_partition_takes(cluster, tmp_path, asked):
    (finding,) = check(tmp_path, Job(**{**vars(JOB), **asked}))
    assert "model cnn asks for" in finding.text and "lower its resources" in finding.cure


def test_an_account_of_somebody_else(cluster, tmp_path):
    cluster.says("sacctmgr", "biology\nphysics\n")
    (finding,) = check(tmp_path)
    assert f"slurm_account is lab, which is no account of {getpass.getuser()}" in finding.text
    assert "one of biology, physics" in finding.cure


def test_a_cluster_without_accounting_is_a_note(cluster, tmp_path):
    cluster.says("sacctmgr", "no accounting", code=1)
    assert [finding.level for finding in check(tmp_path)] == ["ok", "note"]


def test_a_gpu_model_that_the_cluster_does_not_have(cluster, tmp_path):
    (finding,) = check(tmp_path, gpu_model="h100")
    assert "no GPU model h100" in finding.text and "one of a100" in finding.cure
