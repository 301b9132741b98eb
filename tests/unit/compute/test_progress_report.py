"""What a training reports: the age of its process, its start by part, figures of a GPU, TensorBoard's curves."""

import socket
import time

import psutil
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from melanoma.common.stopwatch import Stopwatch
from melanoma.compute.progress_report import curves, gpu_figures, process_age, report_best, report_epoch, report_start


def test_the_age_counts_from_the_start_of_the_process():
    assert process_age() == pytest.approx(time.time() - psutil.Process().create_time(), abs=2)


def test_a_start_is_told_by_part(caplog):
    caplog.set_level("INFO")
    report_start({"imports": 2.04, "network": 0.5})
    assert caplog.text.endswith("s after the start: imports 2.0 s, network 0.5 s\n")


def test_the_utilization_of_a_gpu_is_its_share_of_the_training_and_a_cpu_has_none(monkeypatch):
    watch = Stopwatch()
    watch.images = 600
    watch.seconds |= {"training": 12.0, "gpu": 9.0, "validation": 100.0}
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 2.5e9)
    assert gpu_figures(watch, torch.device("cuda")) == {
        "images_per_second": 50.0,
        "gpu_utilization": 0.75,
        "gpu_memory_gb": 2.5,
    }
    assert gpu_figures(watch, torch.device("cpu")) == {}


def test_tensorboard_shows_the_epochs_of_a_continued_training_once_and_its_best_epoch(tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "ward7-pc")
    watch = Stopwatch()
    watch.seconds["training"] = 1.0
    rows = [{"epoch": n, "validation_auroc": value} for n, value in enumerate([0.5, 0.75, 0.25, 0.625], start=1)]
    with curves(tmp_path / "cnn" / "fold-0", 0) as writer:
        for row in (*rows[:2], {"epoch": 3, "validation_auroc": 0.125}):  # the third epoch is lost with the process
            report_epoch(row["epoch"], 4, row, watch, writer)
    with curves(tmp_path / "cnn" / "fold-0", 2) as writer:
        for row in rows[2:]:
            report_epoch(row["epoch"], 4, row, watch, writer)
        report_best(2, rows[1], writer)
    shown = EventAccumulator(str(tmp_path / "cnn" / "fold-0")).Reload()
    scalars = {tag: [(each.step, each.value) for each in shown.Scalars(tag)] for tag in shown.Tags()["scalars"]}
    assert scalars["validation_auroc"] == [(1, 0.5), (2, 0.75), (3, 0.25), (4, 0.625)]
    assert scalars["final/best_epoch"] == [(2, 2.0)] and scalars["final/validation_auroc"] == [(2, 0.75)]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 2
    assert not [path for path in files if "ward7-pc" in path.name or b"ward7-pc" in path.read_bytes()]


def test_without_a_folder_there_are_no_curves():
    with curves(None, 0) as writer:
        assert writer is None
        report_best(1, {"validation_auroc": 0.5}, writer)
