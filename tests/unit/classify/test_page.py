"""The page of answers: a row for each image, self-contained, with pictures for a limited number of images."""

import re
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest

from melanoma.bundle.model import BundledModel
from melanoma.classify import page
from melanoma.classify.page import write_page
from melanoma.stats import thresholds

BUNDLE = BundledModel({"name": "forest", "study": "s", "thresholds": {"youden": 0.5}}, {}, {}, {}, {})


@pytest.fixture
def answers(tmp_path):
    """Answers for 20 photographs and a damaged file, the most suspicious of them in the middle."""
    files = [tmp_path / f"<b>{number}</b>&.png".replace("/", "") for number in range(21)]
    for file in files[:20]:
        cv2.imwrite(str(file), np.full((40, 60, 3), 128, np.uint8))
    probability = np.append(np.abs(np.arange(20) - 10) / -20 + 0.9, np.nan)
    names = [f"<b>{number}" for number in range(21)]
    table = pd.DataFrame({"image": names, "file": files, "age": np.nan, "sex": None, "site": None})
    result = pd.DataFrame({"image": names, "file": [str(file) for file in files], "patient": None})
    result = result.assign(probability=probability, rank=pd.array([1] * 20 + [None], "Int64"))
    result = result.assign(deviation=np.nan, view_deviation=np.nan)
    result = result.assign(decision=np.where(probability >= 0.5, "melanoma", "benign"), warnings="blurred")
    result.loc[20, ["decision", "warnings"]] = None
    return result.assign(problem=[None] * 20 + ["no image"]), table


def written(folder, answers, bundle=BUNDLE) -> str:
    write_page(folder / "page.html", bundle, *answers, "youden", False, 0)
    return (folder / "page.html").read_text()


def test_images_are_in_the_order_of_their_probabilities_and_unreadable_files_are_last(tmp_path, answers):
    text = written(tmp_path, answers)
    rows = text[text.index("<tbody>") :].split("<tr>")[1:]
    assert len(rows) == 21 and "no image" in rows[-1] and "0.9000" in rows[0]
    probabilities = [float(re.search(r"0\.\d{4}", row)[0]) for row in rows[:-1]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert "data:image/webp" in rows[0] and "data:" not in rows[-1]


def test_names_are_escaped_and_nothing_is_loaded_from_elsewhere(tmp_path, answers):
    text = written(tmp_path, answers)
    assert "<b>" not in text and "&lt;b&gt;0" in text
    assert not re.search(r'(?:src|href)="(?!data:)', text)


def test_the_page_says_what_the_threshold_was_chosen_for_and_the_level_of_its_confidence_intervals(tmp_path, answers):
    interval = {"value": 0.8, "low": 0.7, "high": 0.9}
    chosen = {"purpose": thresholds.purpose("sensitivity_97.5"), "images": 1600, "melanomas": 42}
    chosen |= {"test": {"sensitivity": interval, "specificity": interval}, "confidence_level": 0.9}
    bundle = replace(BUNDLE, about=BUNDLE.about | {"chosen": {"youden": chosen}})
    text = written(tmp_path, answers, bundle)
    assert "for a sensitivity of at least 0.975, on 1,600 out-of-fold predictions" in text
    assert "a sensitivity of 0.8000 [0.7000, 0.9000]" in text and "In brackets: 90 % confidence intervals." in text


def test_many_images_have_rows_but_few_have_pictures_and_the_page_says_so(tmp_path, answers, monkeypatch):
    monkeypatch.setattr(page, "PICTURES", 5)
    text = written(tmp_path, answers)
    assert text.count("<img") == 5 and text.count("<tr>") == 22
    assert "Only the 5 images with the highest probabilities have pictures" in text
