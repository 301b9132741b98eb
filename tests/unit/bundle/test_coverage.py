"""The measured coverage of conformal sets: near the error rate that is asked for, and nothing without both classes."""

import numpy as np
import pandas as pd
import pytest

from melanoma.bundle.coverage import ERROR_RATES, measured_coverage


def out_of_fold(patients: int = 1500) -> pd.DataFrame:
    """Return images of patients that are alike, and a probability that tells something about the class."""
    draw = np.random.default_rng(3)
    patient = np.repeat(np.arange(patients), draw.geometric(0.3, patients))
    target = (draw.random(len(patient)) < 0.4).astype(int)
    evidence = draw.normal(size=patients)[patient] * 0.5 + draw.normal(size=len(patient)) + 2 * target - 1
    return pd.DataFrame({"patient": patient.astype(str), "target": target, "calibrated": 1 / (1 + np.exp(-evidence))})


def test_each_class_is_excluded_as_often_as_asked_and_abstention_leaves_right_answers():
    found = measured_coverage(out_of_fold())
    assert [each["error_rate"] for each in found] == list(ERROR_RATES)
    for each in found:
        assert each["melanoma_excluded"] == pytest.approx(each["error_rate"], abs=0.02)
        assert each["benign_excluded"] == pytest.approx(each["error_rate"], abs=0.02)
    abstained, right = ([each[name] for each in found] for name in ("abstained", "right"))
    assert abstained == sorted(abstained, reverse=True) and right == sorted(right, reverse=True)
    assert right[0] > 0.9


def test_without_melanomas_in_both_halves_nothing_is_measured():
    rows = out_of_fold(20)
    assert measured_coverage(rows.assign(target=0)) == []
