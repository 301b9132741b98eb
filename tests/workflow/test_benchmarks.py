"""benchmarks/training.py measures on any machine, and a measurement has its end."""

import math
import time

import cv2
import numpy as np
import pytest
import torch
import training
from training import Bench, Case, Figures, Pace

CASE = Case("baseline_cnn", 330, batch=3, batches=2)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    files = [folder / f"{number}.jpg" for number in range(4)]
    for file in files:
        cv2.imwrite(str(file), np.random.default_rng(0).integers(0, 255, (512, 512, 3), np.uint8))
    bench = Bench(files, folder, threads=1, gpus=0)
    training.write_store(bench)
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    yield bench
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode(mode)


class Steps(Pace):
    """A pace that stops a training after six steps, at the end of the third epoch."""

    def reason(self):
        if len(self.moments) == 5:
            self.deadline = 0
        return super().reason()


@pytest.mark.parametrize("way", training.WAYS)
def test_each_way_trains_until_it_is_told_to_stop(bench, way):
    pace = Steps(math.inf, bench.now)
    way(bench, CASE, pace)
    figures = Figures.of(pace, CASE, memory=0)
    assert len(pace.moments) == 6 and figures.rate > 0 and figures.start > 0


def test_the_rate_is_that_within_epochs_after_the_first_steps():
    pace = Pace(math.inf, lambda: 0.0)
    pace.moments = [5.0, 9.0, 14.0, 15.0, 18.0, 19.0]  # steps of 1 second after the first; 3 seconds between epochs
    assert Figures.of(pace, CASE, memory=0) == Figures(rate=3.0, start=5.0, gap=3.0, memory=0)


def test_without_time_the_page_has_the_starts(bench):
    (row,) = training.measure(bench, [CASE], end=time.monotonic())
    assert row[:5] == ["baseline_cnn at 330", "3", "-", "-", "-"] and float(row[10]) > 0
    assert "baseline_cnn at 330" in training.page([row], bench, 0)[-1]


def test_the_operations_of_a_network_are_counted(bench):
    """A convolution of 7 x 7 from 3 to 6 channels on 330 pixels takes 2 x 7 x 7 x 3 x 6 x 324 x 324 of them."""
    first = 2 * 7 * 7 * 3 * 6 * 324 * 324
    assert 2 * first < training.operations(CASE, training.compute_device(0, "float32")) < 20 * first


def test_convolutions_in_groups_have_the_operations_of_the_literature():
    """An EfficientNet-B0 has .39 billion multiply-adds (Tan and Le 2019); training has six operations for each."""
    case = Case("efficientnet_b0", 224, 3, 1)
    assert training.operations(case, training.compute_device(0, "float32")) == pytest.approx(6 * 0.39e9, rel=0.03)
