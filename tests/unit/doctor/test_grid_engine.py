"""Grid Engine: a cluster like Hoffman2, and one that lacks a request, an environment or time."""

import pytest

from fake_commands import FakeCommands
from melanoma.doctor.grid_engine import check_grid_engine
from melanoma.doctor.profile import Job, Profile

COMPLEXES = """#name shortcut type relop requestable consumable default urgency
h_rt   h_rt   TIME   <= YES NO  0:0:0 0
h_data h_data MEMORY <= YES YES 2G 0
gpu    gpu    BOOL   == YES NO  FALSE 0
A100   A100   BOOL   == YES NO  FALSE 0
cuda   cuda   INT    <= YES JOB 0 0
highp  highp  BOOL   == YES NO  FALSE 0
"""
QUEUES = "qname all.q\nh_rt  24:00:00, \\\n      [node1=336:00:00]\nqname short.q\nh_rt  2:00:00\n"
JOB = Job("model cnn", gpus=1, threads=8, mem_mb=32000, runtime=720)


@pytest.fixture
def qconf(tmp_path, monkeypatch):
    commands = FakeCommands(tmp_path / "bin", monkeypatch)
    for option, answer in (("-sc", COMPLEXES), ("-spl", "dc*\nshared\n"), ("-sq", QUEUES)):
        commands.says("qconf", answer, only_if=option)
    return commands


def check(tmp_path, job=JOB, **defaults):
    return check_grid_engine(Profile(tmp_path, {}, {"gpu_model": "A100", "highp": "0"} | defaults), [job])


def test_a_cluster_that_has_all_requests(qconf, tmp_path):
    (finding,) = check(tmp_path, highp="1")
    assert finding.level == "ok" and "h_rt, h_data, gpu, A100, cuda, highp" in finding.text


def test_a_machine_without_grid_engine(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (finding,) = check(tmp_path)
    assert "no command qconf" in finding.text and "modules.sh" in finding.cure


def test_a_gpu_model_that_the_cluster_does_not_have(qconf, tmp_path):
    (finding,) = check(tmp_path, gpu_model="H200")
    assert "request H200" in finding.text and "config.yaml to one that it has (A100)" in finding.cure


def test_a_request_that_the_cluster_does_not_have_or_does_not_take(qconf, tmp_path):
    lines = COMPLEXES.replace("cuda ", "gpus ").replace("h_data MEMORY <= YES", "h_data MEMORY <= NO ")
    (tmp_path / "bin" / "qconf-sc.txt").write_text(lines)
    found = check(tmp_path)
    assert ["h_data" in found[0].text, "cuda" in found[1].text] == [True, True]
    assert all("`requests` in profiles/hoffman2/bin/sge-submit" in finding.cure for finding in found)


def test_a_missing_parallel_environment(qconf, tmp_path):
    (tmp_path / "bin" / "qconf-spl.txt").write_text("smp\nmpi\n")
    (finding,) = check(tmp_path)
    assert "environment shared, and there are smp, mpi" in finding.text and "sge-submit" in finding.cure


def test_a_model_that_runs_longer_than_any_queue(qconf, tmp_path):
    assert check(tmp_path, Job(**{**vars(JOB), "runtime": 336 * 60}), highp="1")[0].level == "ok"
    (finding,) = check(tmp_path, Job(**{**vars(JOB), "runtime": 336 * 60 + 1}), highp="1")
    assert "a job gets 20160" in finding.text and "at most 20160" in finding.cure


def test_a_model_that_runs_longer_than_a_day_needs_nodes_of_the_group(qconf, tmp_path):
    (finding,) = check(tmp_path, Job(**{**vars(JOB), "runtime": 1441}))
    assert "a job gets 1440" in finding.text and "highp=1" in finding.cure
