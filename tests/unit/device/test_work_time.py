"""The time of a GPU's work, by events whose class and clock the test replaces: no GPU is needed."""

import pytest
import torch

from melanoma.device.work_time import WorkTime


class Event:
    """An event of a GPU whose clock stands at `now`, in milliseconds. It has no method that waits."""

    now = 0.0

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing

    def record(self) -> None:
        self.at = Event.now

    def elapsed_time(self, later: "Event") -> float:
        return later.at - self.at


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(Event, "now", 0.0)
    return torch.device("cuda")


def test_the_time_is_that_between_the_events_before_and_after_the_work(gpu):
    Event.now = 100.0
    with WorkTime(gpu) as work:
        Event.now = 350.0
    Event.now = 900.0
    assert work.seconds() == 0.25


def test_a_cpu_has_no_events(monkeypatch):
    monkeypatch.setattr(torch.cuda, "Event", None)
    with WorkTime(torch.device("cpu")) as work:
        pass
    assert work.seconds() == 0.0
