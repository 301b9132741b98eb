"""The age of this process, from which the report of a start begins."""

import time

import psutil
import pytest

from melanoma.compute.progress_report import process_age, report_start


def test_the_age_counts_from_the_start_of_the_process():
    assert process_age() == pytest.approx(time.time() - psutil.Process().create_time(), abs=2)


def test_a_start_is_told_by_part(caplog):
    caplog.set_level("INFO")
    report_start({"imports": 2.04, "network": 0.5})
    assert caplog.text.endswith("s after the start: imports 2.0 s, network 0.5 s\n")
