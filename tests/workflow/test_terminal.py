"""The terminal shows a line for each job, the errors, and the paths of the logs."""

import os
import re
import subprocess

import pytest

from melanoma.common.files import write_json, write_text
from melanoma.snakefile.terminal import Estimate, OneLine, Progress
from workflow import SNAKEMAKE, TINY, clone, put_kaggle_tables

CATALOG = "results/isic2020/catalog/catalog.parquet"
JOB_ERROR = {
    "rule_name": "train_fold",
    "rule_msg": None,
    "wildcards": {},
    "log": ["logs/tiny/train_fold/cnn.log"],
    "aux": {"external_jobid": "17"},
}
LINE = re.compile(r"^\d\d:\d\d:\d\d \[\d+ of \d+ done(?:, (?:at least )?[^,]+ left)?\] (\w+):.*\((logs/\S+\.log)\)$")


def shown(folder, *options, study=TINY):
    """Return what Snakemake prints as a user calls it."""
    done = subprocess.run(
        [SNAKEMAKE, *options, "--cores", "2", *study],
        cwd=folder,
        env=os.environ | {"TERM": "dumb"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout.splitlines()


@pytest.mark.large
def test_each_job_is_one_line_with_its_log_and_snakemakes_log_has_the_rest(tmp_path):
    folder = clone(tmp_path)
    code, lines = shown(folder, "results/tiny/catalog/catalog.parquet")
    assert code == 0
    jobs = [match for match in map(LINE.match, lines) if match]
    assert [match[1] for match in jobs].count("build_catalog") == 1 and len(jobs) == 3
    assert all((folder / match[2]).exists() for match in jobs)
    assert max(map(len, lines)) < 200 and len(lines) < 60
    (log,) = (folder / ".snakemake/log").glob("*.snakemake.log")
    assert "rule build_catalog:" in log.read_text() and "Finished jobid" in log.read_text()


@pytest.mark.large
def test_a_failed_job_is_shown_with_its_message_and_the_log_where_a_profile_asks_for_it(tmp_path):
    folder = clone(tmp_path)
    put_kaggle_tables(folder)
    study, log = ("--configfile", "studies/isic2020.yaml"), "logs/isic2020/build_catalog.log"
    code, lines = shown(folder, CATALOG, study=study)
    assert code == 1
    (error,) = [line for line in lines if "Error in rule build_catalog:" in line]
    assert log in error
    assert f"{log}: 40 rows cannot be used:" in lines
    assert any(line.startswith("data/isic2020/train.csv: image_name: no such image file in ") for line in lines)
    assert not any("Traceback" in line for line in lines) and max(map(len, lines)) < 400

    code, lines = shown(folder, CATALOG, "--show-failed-logs", study=study)
    assert code == 1 and not any("Traceback" in line for line in lines)
    start = lines.index(f"Logfile {log}:")
    assert any("ERROR 40 rows cannot be used:" in line for line in lines[start:])


def formatter(results, total=0):
    progress = Progress()
    progress.total = total
    return OneLine(progress, Estimate(results), quiet=set(), show_failed_logs=False)


def test_a_line_tells_the_time_left_where_finished_jobs_tell_it(tmp_path):
    def planned(rule, stage, name):
        paths = {"log": f"logs/mine/{name}.log", "benchmark": f"logs/mine/{name}.tsv"}
        return {"rule": rule, "stage": stage, "needed": True} | paths

    info = {"rule_name": "prepare_shard", "wildcards": {"shard": "2"}, "log": ["logs/mine/2.log"]}

    def state(jobs, total=3):
        if jobs:
            write_json(tmp_path / "logs/mine/plan.json", {"jobs": jobs})
        line = formatter(tmp_path / "results/mine", total).format_job_info(info)
        return re.fullmatch(r"\d\d:\d\d:\d\d \[(.*)\] prepare_shard: shard=2 \(logs/mine/2.log\)", line)[1]

    shards = [planned("prepare_shard", "images", number) for number in range(3)]
    assert state([]) == state(shards) == "0 of 3 done"
    write_text(tmp_path / "logs/mine/0.tsv", "s\th:m:s\n45\t0:00:45\n")
    assert state(shards) == "0 of 3 done, 2 min left"
    assert state([*shards, planned("evaluate", "evaluate", "e")], 4) == "0 of 4 done, at least 2 min left"
    assert state(shards[1:], 2) == "0 of 2 done"
    assert state(shards, 1) == "0 of 1 done"  # as in the Snakemake that a cluster starts for a job


def test_the_message_of_a_scheduler_that_refuses_a_job_is_shown(tmp_path):
    refusing = formatter(tmp_path / "results/mine")
    refused = refusing.format_job_error(JOB_ERROR | {"rule_msg": "Requested node configuration is not available"})
    assert "Requested node configuration is not available" in refused and "external_jobid: 17" in refused
    assert "None" not in refusing.format_job_error(JOB_ERROR)
