"""Which checks a study and a profile get, and the script as a user starts it."""

import subprocess
import sys
import time

import pytest

from fake_commands import fake_slurm
from melanoma.config.study import resolve
from melanoma.doctor import examination
from melanoma.doctor.examination import checked, examine
from melanoma.doctor.profile import read_profile
from project import SCRIPTS

STUDY = """study: s
data: {sources: [{name: drawn, generate: {images: 60}}]}
models: {cnn: {network: metadata_mlp, resources: {gpus: %d}}}
"""


def study(gpus):
    models = {"cnn": {"network": "metadata_mlp", "resources": {"gpus": gpus}}}
    return resolve({"study": "s", "data": {"sources": [{"name": "drawn", "generate": {}}]}, "models": models})


@pytest.fixture
def checks(tmp_path, monkeypatch):
    """The subjects of the checks that are run; none of them is."""
    run = []
    monkeypatch.setattr(examination, "checked", lambda subject, seconds, check: run.append(subject) or [])
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    return run


def test_a_study_without_gpus_gets_no_check_of_one(checks):
    assert examine(study(gpus=0), None, None) == []
    assert checks == ["file system", "data", "disk"]


def test_a_login_node_is_not_asked_for_a_gpu_but_a_job_is(checks, monkeypatch):
    (finding,) = examine(study(gpus=1), read_profile("slurm"), None)
    assert finding.level == "note" and "srun --gres=gpu:1" in finding.text and "GPU" not in checks
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert not examine(study(gpus=1), read_profile("slurm"), None)
    assert checks.count("scheduler") == 2 and checks[-1] == "GPU"


def test_the_gpu_of_a_classification_is_checked(checks):
    new = {"bundle": "b", "images": "i", "resources": {"gpus": 1}}
    examine(resolve({"study": "s", "classify": {"new": new}}), None, None)
    assert checks[-1] == "GPU"


def test_a_check_that_hangs_is_a_fault():
    (finding,) = checked("file system", 0.1, lambda: time.sleep(60))
    assert finding.level == "FAULT" and "no answer within 0.1 s" in finding.text and "another node" in finding.cure


@pytest.mark.parametrize(("account", "code"), [("lab", 0), ("other", 1)])
def test_the_script_exits_with_1_where_there_is_a_fault(tmp_path, monkeypatch, account, code):
    fake_slurm(tmp_path / "bin", monkeypatch, account)
    (tmp_path / "s.yaml").write_text(STUDY % 1)
    command = [sys.executable, SCRIPTS / "doctor.py", "--configfile", "s.yaml", "--profile", "slurm"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    assert f"Faults: {code}" in done.stdout and ("set slurm_account to one of other" in done.stdout) == bool(code)
