"""benchmarks/scaling.py measures steps after the first ones, by the clock and by the processor, and what moves."""

import numpy as np
import pytest
import torch
from scaling import PLACES, Clock, Devices, Speed

import tiny
from melanoma.compute.distributed import Processes
from melanoma.images.store import ImageStore


def test_the_speed_is_that_after_the_first_steps():
    clock = Clock()
    clock.moments = [(5.0, 1.0), (9.0, 2.0), (10.0, 4.0), (12.0, 5.0), (14.0, 6.0)]  # the first three do not count
    assert clock.speed(batch=8) == Speed(rate=pytest.approx(16 / 4), cpu=pytest.approx(2 / 16))


def test_a_training_is_never_stopped_by_the_clock():
    clock = Clock()
    assert [clock.reason(), clock.reason()] == [None, None]
    assert len(clock.moments) == 2


@pytest.mark.parametrize(("place", "held"), [("store", 0), ("all in each process", 20), ("a part in each process", 10)])
def test_a_place_has_room_for_the_images_that_it_names(tmp_path, monkeypatch, place, held):
    store = ImageStore(tiny.write_store(tmp_path / "images.h5", tiny.table(20)))
    monkeypatch.setattr(Processes, "gather", lambda self, value: [value] * self.count)
    monkeypatch.setattr(Processes, "share_parts", lambda self, values: None)
    devices = Devices(PLACES[place])
    rows = np.tile(np.arange(20), 2)
    devices.device_images(store, rows, [rows[:0]] * 2, torch.device("cpu"), Processes(1, 2))
    assert devices.held == held


def test_only_images_for_other_processes_count_as_moved(monkeypatch):
    monkeypatch.setattr(Processes, "exchange", lambda self, values, sent, received: values)
    devices = Devices(0.7)
    devices.exchange(Processes(1, 3), torch.zeros(7, 2, dtype=torch.uint8), [1, 4, 2], [0, 4, 0])
    assert devices.sent == (1 + 2) * 2
