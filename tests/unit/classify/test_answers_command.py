"""The command line of classify.py: its help, and what it refuses before it computes anything."""

import argparse

import cv2
import numpy as np
import pytest

import classify as script
from in_process import call
from melanoma.bundle.model import BundledModel
from melanoma.common.errors import InputError


def test_an_unknown_threshold_is_an_error_before_the_computation(tmp_path, monkeypatch):
    bundle = BundledModel({"name": "cnn", "files": {}, "thresholds": {"youden": 0.5, "f2": 0.1}}, {}, {}, {}, {})
    monkeypatch.setattr(BundledModel, "read", lambda folder: bundle)
    monkeypatch.setattr(script, "compute", lambda *arguments: pytest.fail("it computes"))
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((40, 60, 3), np.uint8))
    with pytest.raises(InputError, match="no threshold best; its thresholds are youden, f2"):
        call(script, "--bundle", "b", "--threshold", "best", "--output", tmp_path / "a.csv", tmp_path / "a.png")


def test_the_help_has_no_value_that_only_a_study_file_can_have():
    parser = argparse.ArgumentParser()
    script.describe(parser)
    assert "null" not in parser.format_help()
