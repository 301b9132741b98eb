"""The time of an epoch, by part."""

import pytest

from melanoma.common import stopwatch
from melanoma.common.stopwatch import Stopwatch


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets forward."""
    now = [0.0]
    monkeypatch.setattr(stopwatch.time, "monotonic", lambda: now[0])

    def forward(seconds: float) -> None:
        now[0] += seconds

    return forward


def test_waiting_counts_the_time_until_each_item_is_there_and_nothing_else(clock):
    def slow_items():
        for item in range(3):
            clock(2.0)
            yield item

    watch = Stopwatch()
    with watch.timing("training"):
        for _ in watch.waiting("data", slow_items()):
            clock(10.0)
            watch.images += 12
    with watch.timing("validation"):
        clock(5.0)
    assert watch.seconds["data"] == 6.0
    assert watch.figures() == {
        "images_per_second": 1.0,
        "data_share": 6 / 36,
        "validation_seconds": 5.0,
        "checkpoint_seconds": 0.0,
    }


@pytest.mark.parametrize(("wait", "said"), [(0.5, False), (2.0, True)])
def test_slow_data_is_said_with_what_to_change(clock, caplog, wait, said):
    watch = Stopwatch()
    with watch.timing("training"):
        with watch.timing("data"):
            clock(wait)
        clock(10.0 - wait)
    with caplog.at_level("INFO", logger="melanoma"):
        watch.report_slow_data()
    assert ("raise resources.threads" in caplog.text) is said
