"""The head of the report: the main results, and what is wrong with them."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from finished_study import write_report, write_shortcuts
from melanoma.common.files import read_json, write_json, write_yaml
from minimal_config import MINIMAL


def card(page: str, name: str) -> str:
    """Return the text of the card whose title begins with `name`, without its title."""
    cards = re.findall(r'<li[^>]*><span class="what">(.*?)</span>(<span class="[bn].*?)</li>', page)
    (text,) = [text for title, text in cards if title.startswith(name)]
    return " ".join(re.sub("<[^>]+>", " ", text.replace("&nbsp;", " ")).split())


def test_a_leak_is_a_red_banner(study: Path, tmp_path: Path) -> None:
    finding = {"kind": "patient", "boundary": "train/test", "count": 2, "images": ["ISIC_1", "ISIC_2"]}
    write_json(tmp_path / "leakage.json", read_json(study / "leakage.json") | {"findings": [finding]})
    page = write_report(study, tmp_path, leakage=tmp_path / "leakage.json")
    assert 'class="banner bad"' in page
    assert card(page, "Leakage check").startswith("not passed These results are not valid.")
    assert "these results are not valid" in page and "The leakage check found no leak" not in page
    assert "ISIC_1" not in page
    write_yaml(tmp_path / "study.yaml", MINIMAL | {"report": {"identifiers": True}})
    page = write_report(study, tmp_path, leakage=tmp_path / "leakage.json", study=tmp_path / "study.yaml")
    assert "ISIC_1, ISIC_2" in page


def test_allowed_leaks_are_a_red_banner_without_any_finding(study: Path, tmp_path: Path) -> None:
    write_yaml(tmp_path / "study.yaml", MINIMAL | {"split": {"allow_leaks": True}})
    page = write_report(study, tmp_path, study=tmp_path / "study.yaml")
    assert "Leaks were allowed" in page


def test_a_sequential_split_is_a_red_banner_without_any_finding(study: Path, tmp_path: Path) -> None:
    split = {"method": "sequential", "test_fraction": 0.2, "folds": 5, "run_folds": [4], "allow_leaks": True}
    write_yaml(tmp_path / "study.yaml", MINIMAL | {"split": split})
    page = write_report(study, tmp_path, study=tmp_path / "study.yaml")
    assert "Leaky split: these results are not valid" in page
    assert "the last 20 % of the rows in file order" in page
    assert card(page, "Leakage check").startswith("not passed")


@pytest.mark.parametrize("drawn", [True, False])
def test_drawn_images_are_named_at_the_top(study: Path, tmp_path: Path, drawn: bool) -> None:
    source = {"name": "mine"} | ({"generate": {}} if drawn else {"table": "t.csv", "images": "jpeg"})
    write_yaml(tmp_path / "study.yaml", MINIMAL | {"data": {"sources": [source]}})
    page = write_report(study, tmp_path, study=tmp_path / "study.yaml")
    assert ("This workflow has drawn the images of the source “mine”" in page) is drawn


@pytest.mark.parametrize(
    ("tested", "said"),
    [
        ({}, "The subgroups by site have too few patients to test whether their AUROCs differ."),
        ({"auroc": {"p_holm": 0.5}}, "the AUROC does not differ significantly (p = 0.5000)"),
        ({"auroc": {"p_holm": 0.00001}}, "the AUROC differs significantly (p &lt; 0.0001)"),
    ],
)
def test_the_headline_names_the_weakest_subgroup_with_the_numbers_of_the_metrics(
    study: Path, tmp_path: Path, tested: dict[str, Any], said: str
) -> None:
    metrics = read_json(study / "metrics.json")
    entry = metrics["cnn"]
    assert 'id="weakest"' not in write_report(study, tmp_path)
    whole = entry["calibrated"] | entry["thresholds"]["sensitivity_90"] | entry
    weak = whole | {"n": 1200, "melanomas": 9, "auroc": {"value": 0.612, "low": 0.5, "high": 0.7}}
    kinds = {"site": {"groups": {"torso": whole, "sole": weak}, "heterogeneity": tested}}
    entry["subgroups"] = {"rule": "sensitivity_90", "scale": "calibrated", "kinds": kinds}
    write_json(tmp_path / "metrics.json", metrics)
    page = write_report(study, tmp_path, metrics=tmp_path / "metrics.json")
    sentence = re.findall(r'<p id="weakest">(.*)</p>', page)[0].replace("&nbsp;", " ")
    assert "Of the 2 subgroups with at least 5 melanomas and 5 benign images, the AUROC of cnn is lowest" in sentence
    assert "in sole (site): 0.61" in sentence
    assert "(95 % confidence interval 0.50 to 0.70; 9 melanomas in 1,200 images)" in sentence and said in sentence
    assert "9,0.612,0.5,0.7," in (tmp_path / "tables" / "subgroups.csv").read_text()
    shown = whole["sensitivity"]["value"]
    assert f"the sensitivity is lowest in torso (site): {shown:.2f} (95 %" in sentence, "the first of two equal groups"
    weak["auroc"] |= {"low": None, "high": None}  # of a single patient
    write_json(tmp_path / "metrics.json", metrics)
    page = write_report(study, tmp_path, metrics=tmp_path / "metrics.json")
    assert "in sole (site): 0.61 (9 melanomas in 1,200 images). A part" in page


@pytest.mark.parametrize(("test", "below"), [(0.70, True), (0.85, False)])
def test_the_headline_has_the_out_of_fold_auroc_and_says_if_the_test_is_below_its_interval(
    study: Path, tmp_path: Path, test: float, below: bool
) -> None:
    metrics = read_json(study / "metrics.json")
    metrics["cnn"]["auroc"] = {"value": test, "low": 0.6, "high": 0.95}
    metrics["cnn"]["validation"]["auroc"] = {"value": 0.9, "low": 0.8, "high": 0.95}
    write_json(tmp_path / "metrics.json", metrics)
    page = write_report(study, tmp_path, metrics=tmp_path / "metrics.json")
    text = card(page, "Out-of-fold AUROC")
    assert text.startswith("0.90 ") and "0.80 to 0.95" in text and f" {test - 0.9:+.3f} " in text
    assert ("The test AUROC is below this interval." in text) is below


@pytest.mark.parametrize(("p", "said"), [(0.01234, "p = 0.0123"), (0.00001, "p &lt; 0.0001")])
def test_the_headline_has_the_difference_to_the_baseline_without_pixels_as_the_tables_have_it(
    study: Path, tmp_path: Path, p: float, said: str
) -> None:
    content = read_json(write_shortcuts(study, tmp_path / "shortcuts.json"))
    difference = content["test"]["differences"]["cnn"]["difference"]
    content["test"]["differences"]["cnn"]["p"] = p
    write_json(tmp_path / "shortcuts.json", content)
    page = write_report(study, tmp_path, shortcuts=tmp_path / "shortcuts.json")
    interval = f"95 % confidence interval {difference['low']:+.3f} to {difference['high']:+.3f}"
    shown = f"minus baseline: {difference['value']:+.3f} , {interval}, {said}."
    assert shown in card(page, "Test AUROC without pixels")
    table = pd.read_csv(tmp_path / "tables" / "shortcuts.csv", index_col="model").loc["cnn"]
    columns = ("difference", "difference_low", "difference_high", "p")
    assert [table[column] for column in columns] == [*difference.values(), p]
    del content["test"]["differences"]
    write_json(tmp_path / "shortcuts.json", content)
    page = write_report(study, tmp_path, shortcuts=tmp_path / "shortcuts.json")
    assert "baseline" not in card(page, "Test AUROC without pixels")


def test_the_headline_has_the_value_of_the_threshold_whose_rates_it_shows(study: Path, tmp_path: Path) -> None:
    metrics = read_json(study / "metrics.json")
    cells = metrics["cnn"]["thresholds"]["sensitivity_90"]
    said = f"The threshold is a probability of {cells['threshold']:#.3g} ."
    assert said in card(write_report(study, tmp_path), "On the test set, at the threshold that finds 90 of 100")
    metrics["cnn"]["thresholds"] = {"given": cells}
    write_json(tmp_path / "metrics.json", metrics)
    page = write_report(study, tmp_path, metrics=tmp_path / "metrics.json")
    assert said in card(page, "On the test set, at the given threshold")


def test_the_head_says_once_that_the_leakage_check_passed_and_the_section_says_what_it_checked(
    study: Path, tmp_path: Path
) -> None:
    head, body = write_report(study, tmp_path).split('<section id="results">')
    assert card(head, "Leakage check").startswith("passed No image of the test set was used in training.")
    assert head.count(">passed<") == 1 and "check passed" not in head
    assert "No patient, lesion, file, known duplicate" in body.split('<section id="split">')[1]


@pytest.mark.parametrize(("melanomas", "patients", "warned"), [(19, 30, True), (20, 19, True), (20, 20, False)])
def test_a_small_test_set_has_a_warning(
    study: Path, tmp_path: Path, melanomas: int, patients: int, warned: bool
) -> None:
    metrics = read_json(study / "metrics.json")
    shown = {name: entry | {"melanomas": melanomas, "units": patients} for name, entry in metrics.items()}
    write_json(tmp_path / "metrics.json", shown)
    page = write_report(study, tmp_path, metrics=tmp_path / "metrics.json")
    assert ("The test set is too small for conclusions." in page) == warned
