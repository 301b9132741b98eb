"""Explanations on the page: maps over the test images, and the importance of columns."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import write_report as script
from finished_study import report_options
from in_process import call
from melanoma.explain.explanation_file import Explanations
from melanoma.report.explanations import explanations

CASES = [
    {"image": f"ISIC_{number}", "patient": "IP_1", "target": 1, "probability": 0.1 * number, "kind": "missed melanoma"}
    for number in (1, 2)
]
IMPORTANCE = {"logistic": [{"column": "age", "mean": 0.03, "deviation": 0.004}]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    about = {"model": "cnn", "rule": "youden", "threshold": 0.5, "methods": {"cnn": "Grad-CAM"}}
    images = np.full((2, 224, 224, 3), 200, np.uint8)
    maps = {"cnn": np.tile(np.arange(224, dtype=np.uint8), (2, 224, 1))}
    path = tmp_path / "explanations.npz"
    Explanations(images, maps, {**about, "cases": CASES, "importance": IMPORTANCE}).write(path)  # type: ignore[typeddict-item]
    return path


def test_a_case_has_its_image_and_a_map_of_each_network_if_it_may_be_shown(file: Path) -> None:
    test = pd.DataFrame({"image": ["ISIC_1", "ISIC_2"], "age": [40.0, 50.0], "shown": [True, False]})
    thumbnails = ["another"]
    found = explanations(file, test, thumbnails, identifiers=False)
    assert [case["pictures"] for case in found["cases"]] == [{"image": 1, "cnn": 2}, {}]
    assert len(thumbnails) == 3 and [case["name"] for case in found["cases"]] == ["case 1", "case 2"]
    assert found["cases"][0]["about"] == "40 years"
    assert explanations(file, test, [], identifiers=True)["cases"][1]["name"] == "ISIC_2"


def test_the_page_shows_the_maps_and_the_importance_of_columns(study: Path, tmp_path: Path, file: Path) -> None:
    options = report_options(study, explanations=file)
    call(script, *options, "--tables", tmp_path / "tables", "--output", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "Grad-CAM of cnn" in page and '<a href="#explanations">' in page
    assert (
        tmp_path / "tables" / "importance.csv"
    ).read_text() == "model,column,mean,deviation\nlogistic,age,0.03,0.004\n"
