"""Training stops before the scheduler's limit, by its own clock, and after a signal."""

import os
import signal

import pytest

from melanoma.compute import preemption
from melanoma.compute.preemption import SIGNALS, Preemption, scheduler_job


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1.7e9 + self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)
    monkeypatch.setattr(preemption, "time", clock)
    monkeypatch.setattr(preemption, "_imported", clock.now)
    return clock


def test_without_a_limit_there_is_no_reason_to_stop(clock):
    watch = Preemption(None)
    clock.now += 1e9
    assert watch.reason() is None


@pytest.mark.parametrize(("minutes", "margin"), [(1, 20), (3, 20), (10, 60), (30, 180), (60, 300), (1440, 300)])
def test_it_stops_a_tenth_of_the_limit_before_the_end_from_20_seconds_to_five_minutes(clock, minutes, margin):
    watch = Preemption(60 * minutes)
    while clock.now < 1000 + 60 * minutes - margin - 1.5:
        clock.now += 1
        assert watch.reason() is None
    clock.now += 1
    assert watch.reason() == f"the end of its {minutes} minutes"


def test_it_stops_early_enough_for_another_longest_step(clock):
    watch = Preemption(3600)
    clock.now += 400
    assert watch.reason() is None
    for _ in range(24):
        clock.now += 100
        assert watch.reason() is None
    clock.now += 101
    assert watch.reason() is not None


@pytest.mark.parametrize(
    ("end", "stops_after"), [("1700001060", 40), ("1700001034", 14), ("1700009999", 40), ("", 40), ("soon", 40)]
)
def test_of_its_limit_and_the_end_that_slurm_tells_the_earlier_one_counts(clock, monkeypatch, end, stops_after):
    monkeypatch.setenv("SLURM_JOB_END_TIME", end)
    watch = Preemption(60)
    seconds = 0
    while watch.reason() is None:
        clock.now += 0.5
        seconds += 0.5
    assert seconds == pytest.approx(stops_after, abs=1)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_a_reason_to_stop(number):
    watch = Preemption(None)
    before = signal.getsignal(number)
    with watch.watching():
        os.kill(os.getpid(), number)
        assert watch.reason() == f"signal {number.name}"
    assert signal.getsignal(number) == before


@pytest.mark.parametrize("name", ["SLURM_JOB_ID", "JOB_ID", "PBS_JOBID", "LSB_JOBID"])
def test_the_scheduler_is_known_by_the_number_of_its_job(monkeypatch, name):
    for other in preemption.JOB_NUMBERS:
        monkeypatch.delenv(other, raising=False)
    assert scheduler_job() is None
    monkeypatch.setenv(name, "4711")
    assert scheduler_job() == "4711"
