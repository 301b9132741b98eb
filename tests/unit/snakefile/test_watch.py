"""How far a run is: states, time left and news of its jobs, from files as Snakemake and the scripts leave them."""

import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from melanoma.common.errors import InputError
from melanoma.common.files import write_json, write_text
from melanoma.snakefile.watch import duration, read_run, table

START = datetime(2026, 11, 27, 12, 0, 0)
STARTED = START.timestamp()


class Study:
    """The files of a run of a study that started at START."""

    def __init__(self, folder: Path, jobs: dict[str, str], needed: bool = True) -> None:
        self.results, self.logs = folder / "results" / "mine", folder / "logs" / "mine"
        planned = [
            {
                "rule": rule,
                "stage": rule.partition("_")[0],
                "needed": needed,
                "log": f"logs/mine/{name}.log",
                "benchmark": f"logs/mine/{name}.tsv",
            }
            for name, rule in jobs.items()
        ]
        write_json(self.logs / "plan.json", {"jobs": planned})
        os.utime(self.logs / "plan.json", (STARTED, STARTED))

    def benchmark(self, name: str, seconds: float, at: float) -> None:
        self._write(self.logs / f"{name}.tsv", f"s\th:m:s\n{seconds}\t0:00:00\n", at)

    def log(self, name: str, *messages: tuple[float, str]) -> None:
        lines = [f"{START + timedelta(seconds=at)} {message}\n" for at, message in messages]
        self._write(self.logs / f"{name}.log", "".join(lines), messages[-1][0])

    def end(self, at: float) -> None:
        self._write(self.results / "record.json", "{}", at)

    def shown(self, at: float) -> list[str]:
        return table("mine", read_run(self.results, START + timedelta(seconds=at))).splitlines()

    @staticmethod
    def _write(path: Path, text: str, at: float) -> None:
        write_text(path, text)
        os.utime(path, (STARTED + at, STARTED + at))


def begin(at: float) -> tuple[float, str]:
    return at, "DEBUG python scripts/train.py --fold 0"


def test_a_stage_counts_jobs_and_estimates_the_rest_from_the_finished_ones(tmp_path: Path) -> None:
    study = Study(tmp_path, {f"shard/{number}": "prepare_shard" for number in range(5)} | {"evaluate": "evaluate"})
    study.benchmark("shard/0", 100, at=110)
    study.benchmark("shard/1", 300, at=310)
    study.log("shard/2", begin(250), (300, "INFO shard 2: 5 of 10, 0.1 a second, 50 s left"))
    assert study.shown(at=350) == [
        "mine: 2 of 6 jobs done, 1 running, 3 waiting; at least 8 min left",
        # The running one has run 100 s of 200, and two wait.
        "  prepare    2 of 5 jobs done, 1 running, 2 waiting; 8 min left",
        "    shard/2: shard 2: 5 of 10, 0.1 a second, 50 s left, 2 min left",
        "  evaluate   0 of 1 jobs done, 1 waiting; time left unknown",
    ]


def test_jobs_that_run_at_once_share_the_rest_of_a_stage(tmp_path: Path) -> None:
    study = Study(tmp_path, {f"shard/{number}": "prepare_shard" for number in range(6)})
    study.benchmark("shard/0", 60, at=60)
    for number in (1, 2):
        study.log(f"shard/{number}", begin(60))
    assert study.shown(at=60)[0] == "mine: 1 of 6 jobs done, 2 running, 3 waiting; 2 min left"


def test_a_training_is_estimated_from_its_epochs_and_tells_its_speed(tmp_path: Path) -> None:
    study = Study(tmp_path, {"train/cnn/fold-0": "train_fold"})
    study.log(
        "train/cnn/fold-0",
        begin(0),
        (100, "INFO epoch 1 of 10: 50 of 100, 1.0 a second, 50 s left"),
        (150, "INFO epoch 1 of 10: learning rate 0.1, images per second 72.55, data share 0.03"),
        (200, "INFO epoch 2 of 10: 50 of 100, 1.0 a second, 50 s left"),
    )
    # Ten percent in 100 s, so 85 percent take 850 s, and 10 s of them are over.
    assert study.shown(at=210)[-1] == "    train/cnn/fold-0: epoch 2 of 10, 73 images/s, 14 min left"
    assert "no message for 1 h 7 min" in study.shown(at=4200)[-1]


def test_a_training_that_a_scheduler_started_again_counts_its_last_attempt(tmp_path: Path) -> None:
    study = Study(tmp_path, {"fold": "train_fold"})
    first = [begin(0), (10, "INFO epoch 1 of 4: learning rate 1"), (20, "INFO epoch 2 of 4: learning rate 1")]
    study.log("fold", *first, begin(1000), (1010, "INFO epoch 3 of 4: learning rate 1"))
    lines = study.shown(at=1010)
    assert lines[0] == "mine: 0 of 1 jobs done, 1 running; time left unknown"
    assert lines[-1] == "    fold: epoch 3 of 4, time left unknown"


def test_a_job_with_an_error_has_failed_and_an_older_log_does_not_count(tmp_path: Path) -> None:
    study = Study(tmp_path, {"wrong": "train_fold", "old": "train_fold"})
    study.log("wrong", begin(1), (2, "ERROR no such column"))
    study.log("old", begin(-100), (-90, "ERROR no such column"))
    study.benchmark("old", 50, at=-200)
    assert study.shown(at=10) == [
        "mine: 0 of 2 jobs done, 1 waiting, 1 failed; 50 s left",
        "  train      0 of 2 jobs done, 1 waiting, 1 failed; 50 s left",
        "    wrong: failed",
    ]


def test_after_the_end_of_snakemake_no_job_runs(tmp_path: Path) -> None:
    study = Study(tmp_path, {"killed": "train_fold", "late": "evaluate"})
    study.log("killed", begin(1), (2, "INFO at work"))
    study.end(at=-5)
    assert "1 running" in study.shown(at=10)[0]
    study.end(at=5)
    assert study.shown(at=10)[0] == "mine: 0 of 2 jobs done, 1 waiting, 1 failed; ended"


def test_jobs_that_the_run_need_not_do_are_done(tmp_path: Path) -> None:
    assert "1 of 1 jobs done; 0 s left" in Study(tmp_path, {"a": "split_study"}, needed=False).shown(at=1)[0]


def test_a_study_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"logs/mine/plan\.json: no such file"):
        read_run(tmp_path / "results" / "mine", START)


@pytest.mark.parametrize(
    ("seconds", "text"), [(59.6, "60 s"), (120, "2 min"), (3599, "1 h 0 min"), (12000, "3 h 20 min")]
)
def test_a_duration_has_the_unit_that_fits(seconds: float, text: str) -> None:
    assert duration(seconds) == text
