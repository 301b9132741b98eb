"""benchmarks/scaling.py measures steps after the first ones, by the clock and by the processor."""

import pytest
from scaling import Clock, Speed


def test_the_speed_is_that_after_the_first_steps():
    clock = Clock()
    clock.moments = [(5.0, 1.0), (9.0, 2.0), (10.0, 4.0), (12.0, 5.0), (14.0, 6.0)]  # the first three do not count
    assert clock.speed(batch=8) == Speed(rate=pytest.approx(16 / 4), cpu=pytest.approx(2 / 16))


def test_a_training_is_never_stopped_by_the_clock():
    clock = Clock()
    assert [clock.reason(), clock.reason()] == [None, None]
    assert len(clock.moments) == 2
