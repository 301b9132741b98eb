"""What a training reports: the age of its process, its start by part, and the figures of a GPU."""

import time

import psutil
import pytest
import torch

from melanoma.common.stopwatch import Stopwatch
from melanoma.compute.progress_report import gpu_figures, process_age, report_start


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
