"""The report is one page that contains all that it shows."""

import json
import re
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import write_report as script
from finished_study import report_options
from in_process import call
from melanoma.common.files import read_json, write_json, write_text, write_yaml
from melanoma.common.provenance import ROOT
from melanoma.config.study import Evaluate
from melanoma.evaluation.shortcuts import areas, find_shortcuts
from melanoma.report.page import PARTS, TEMPLATES, render
from melanoma.report.sources import Sources
from minimal_config import MINIMAL

VENDOR = TEMPLATES / "vendor"
SECTIONS = ("subgroups", "errors")  # those with rates at a threshold


def write_report(finished: Path, folder: Path, **changed: Path) -> str:
    """Write the report of a finished study, with some of its files exchanged, and return it."""
    call(
        script, *report_options(finished, **changed), "--tables", folder / "tables", "--output", folder / "report.html"
    )
    return (folder / "report.html").read_text()


class Links(HTMLParser):
    """Collects what a page refers to, and checks that each tag is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]
        if tag not in ("meta", "img", "br", "link", "hr", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_plotting_library_is_that_of_its_publisher():
    listed = dict(re.findall(r"^\| `([^`]+\.js)` .*`(\w{64})` \|$", (VENDOR / "README.md").read_text(), re.M))
    files = {path.name: sha256(path.read_bytes()).hexdigest() for path in VENDOR.glob("*.js")}
    assert files == listed and len(files) == 2


def test_the_report_refers_to_nothing_outside_itself(study: Path, tmp_path: Path) -> None:
    page = write_report(study, tmp_path)
    links = Links()
    links.feed(page)
    assert links.open == []
    assert all(link.startswith(("data:", "#")) for link in links.found)
    assert sum(link.startswith("data:image/svg+xml") for link in links.found) == 1
    assert sum(link.startswith("data:image/webp") for link in links.found) == 1
    assert "default-src 'none'" in page
    assert "@import" not in page and "data:image/png" not in page


def test_links_within_the_report_lead_somewhere(study: Path, tmp_path: Path) -> None:
    page = write_report(study, tmp_path)
    targets = set(re.findall(r'id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= targets


def test_the_report_has_results_split_issues_recipes_versions_and_limits(study: Path, tmp_path: Path) -> None:
    page = write_report(study, tmp_path)
    entry = pd.read_json(study / "metrics.json")["cnn"]
    for text in (
        f"{entry['auroc']['value']:.2f}",
        f"[{entry['auroc']['low']:.2f}, {entry['auroc']['high']:.2f}]",
        f"{entry['validation']['auroc']['value']:.2f}",
        "0.912",
        "Leakage check passed",
        "25 % of the images",
        "age not in 0 to 120",
        "truncated",
        "monitor: loss",
        "scikit-learn",
        f"--configfile {study / 'study.yaml'}",
        "not a medical device",
        (ROOT / "report" / "class_balance.rst").read_text().strip(),
    ):
        assert text in page, text


def test_the_report_holds_comparisons_thresholds_and_calibration(study: Path, tmp_path: Path) -> None:
    page = write_report(study, tmp_path)
    entry = read_json(study / "metrics.json")["cnn"]
    (pair,) = read_json(study / "comparisons.json")["pairs"]
    calibration = read_json(study / "calibration.json")["cnn"]
    for text in (
        f"{entry['partial_auroc']['value']:.2f}",
        f"{entry['sensitivity_at_90_specificity']['value']:.2f}",
        f"{entry['thresholds']['youden']['threshold']:.4g}",
        f"{entry['thresholds']['f2']['kappa']['value']:.2f}",
        f"{entry['calibrated']['ece']['value']:.3f}",
        f"{pair['difference']['value']:+.3f}",
        f"{pair['bootstrap']['p_holm']:.4f}",
        f">{calibration['calibrator']['method'].replace('_', ' ')}</td>",
    ):
        assert text in page, text


def test_the_report_says_which_model_is_selected_and_why(study: Path, tmp_path: Path) -> None:
    test = {"difference": 0.0123, "p": 0.004, "p_holm": 0.012, "adopted": True}
    found = {
        "selected_model": "cnn",
        "best_single": "mlp",
        "adopted": True,
        "significance_level": 0.05,
        "n": 148,
        "melanomas": 40,
    }
    found |= {"unit": "patient", "units": 37, "auroc": {"cnn": 0.8123, "mlp": 0.8}, "tests": {"cnn": test}}
    write_json(tmp_path / "selected_model.json", found)
    page = write_report(study, tmp_path, selected_model=tmp_path / "selected_model.json")
    for text in (
        '<b class="name">cnn</b>',
        "that of the best single model, mlp",
        "+0.012",
        "0.0120",
        "37 patients",
    ):
        assert text in page, text
    alone = found | {
        "selected_model": "mlp",
        "adopted": False,
        "tests": {"cnn": test | {"adopted": False, "p_holm": 0.3}},
    }
    write_json(tmp_path / "selected_model.json", alone)
    page = write_report(study, tmp_path, selected_model=tmp_path / "selected_model.json")
    assert (tmp_path / "tables" / "models.csv").read_text().splitlines()[1].startswith("mlp,"), "selected, so first"
    assert "No fusion has a significantly higher" in page and ">not significantly higher</td>" in page


def test_the_report_compares_fusions_with_and_without_context(study: Path, tmp_path: Path) -> None:
    metrics = read_json(study / "metrics.json")
    entry = metrics["cnn"]
    write_json(tmp_path / "metrics.json", metrics | {"stack": entry, "stack_without_context": entry})
    selected_model = {
        "selected_model": "cnn",
        "best_single": "cnn",
        "adopted": False,
        "significance_level": 0.05,
        "n": 9,
        "melanomas": 3,
    }
    write_json(
        tmp_path / "selected_model.json",
        selected_model | {"unit": "image", "units": 9, "auroc": {"cnn": 0.8}, "tests": {}},
    )
    page = write_report(
        study, tmp_path, metrics=tmp_path / "metrics.json", selected_model=tmp_path / "selected_model.json"
    )
    assert "Patient context" in page and page.count(f"{entry['validation']['auroc']['value']:.2f}") >= 4


def test_the_report_holds_shortcuts_and_subgroups(study: Path, tmp_path: Path) -> None:
    train = pd.read_parquet(study / "train.parquet").drop(columns=["row", "fold"])
    known = {"age": 40.0, "sex": "male", "site": "torso", "source": "demo", "width": 640, "height": 480}
    rows = train.assign(probability=np.random.default_rng(0).random(len(train)), **known)
    settings = Evaluate(replicates=100)
    for label, table in (("known", rows), ("unknown", rows.assign(patient=None, width=0, height=0))):
        found = find_shortcuts({"cnn": table}, settings) | {"baselines": areas({"age, sex and site": table}, settings)}
        write_json(tmp_path / "shortcuts.json", {"test": found, "out_of_fold": {"models": {}}})
        page = write_report(study, tmp_path, shortcuts=tmp_path / "shortcuts.json")
        model = found["models"]["cnn"]
        assert f"age, sex and site {model['auroc']['value']:.3f}" in page and "30 to 44" in page
        within = (tmp_path / "tables" / "shortcuts.csv").read_text().splitlines()[1].split(",")
        assert (label == "unknown") == (within[4] == "")
        if label == "known":
            assert f"{model['within_patient']['first']['value']:.2f}" in page
            assert f'data-sort="{model["within_patient"]["ranked"]}"' in page


def test_comparisons_are_counted(study: Path, tmp_path: Path) -> None:
    comparisons = read_json(study / "comparisons.json")
    write_json(tmp_path / "comparisons.json", comparisons | {"pairs": comparisons["pairs"] * 20})
    assert "20 comparisons, " in write_report(study, tmp_path, comparisons=tmp_path / "comparisons.json")


def test_the_same_sources_give_the_same_report(study: Path, tmp_path: Path) -> None:
    assert write_report(study, tmp_path) == write_report(study, tmp_path)


def test_values_of_tables_are_escaped(study: Path, tmp_path: Path) -> None:
    write_yaml(tmp_path / "study.yaml", MINIMAL | {"report": {"identifiers": True}})
    page = write_report(study, tmp_path, study=tmp_path / "study.yaml")
    assert "<b>-4</b>" not in page
    assert "&lt;b&gt;-4&lt;/b&gt;" in page


def test_a_leak_is_a_red_banner(study: Path, tmp_path: Path) -> None:
    finding = {"kind": "patient", "boundary": "train/test", "count": 2, "images": ["ISIC_1", "ISIC_2"]}
    write_json(tmp_path / "leakage.json", read_json(study / "leakage.json") | {"findings": [finding]})
    page = write_report(study, tmp_path, leakage=tmp_path / "leakage.json")
    assert 'class="banner bad"' in page
    assert 'class="banner good"' not in page
    assert "these results are not valid" in page
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
    assert 'class="banner good"' not in page


@pytest.mark.parametrize("drawn", [True, False])
def test_drawn_images_are_named_at_the_top(study: Path, tmp_path: Path, drawn: bool) -> None:
    source = {"name": "mine"} | ({"generate": {}} if drawn else {"table": "t.csv", "images": "jpeg"})
    write_yaml(tmp_path / "study.yaml", MINIMAL | {"data": {"sources": [source]}})
    page = write_report(study, tmp_path, study=tmp_path / "study.yaml")
    assert ("This workflow has drawn the images of the source “mine”" in page) is drawn


def test_a_predefined_split_names_its_table(study: Path, tmp_path: Path) -> None:
    predefined = {"table": "folds.csv", "column": "tfrecord", "test": [0, 1], "folds": [[2], [3]]}
    split = {"method": "predefined", "folds": 2, "run_folds": [0], "predefined": predefined}
    write_yaml(tmp_path / "study.yaml", MINIMAL | {"split": split})
    page = write_report(study, tmp_path, study=tmp_path / "study.yaml")
    assert "read from column tfrecord of folds.csv. The test set has the values 0, 1." in page
    assert 'class="banner good"' in page


def test_a_saved_split_names_its_file(study: Path, tmp_path: Path) -> None:
    split = {"method": "saved", "folds": 2, "run_folds": [0], "file": "results/a/split/split.parquet"}
    write_yaml(tmp_path / "study.yaml", MINIMAL | {"split": split})
    page = write_report(study, tmp_path, study=tmp_path / "study.yaml")
    assert "are those of results/a/split/split.parquet, the saved split of another study" in page


def test_a_study_without_issues_says_so(study: Path, tmp_path: Path) -> None:
    write_text(tmp_path / "issues.csv", "source,table,row,image,column,value,problem,action\n")
    assert "every row of the tables was used unchanged" in write_report(study, tmp_path, issues=tmp_path / "issues.csv")


def test_a_report_needs_metrics_and_study_only(study: Path, tmp_path: Path) -> None:
    metrics = pd.read_json(study / "metrics.json").to_dict()
    chosen = "validation", "thresholds", "calibrated"
    alone = {key: value for key, value in metrics["cnn"].items() if key not in chosen}
    alone["bootstrap"] = alone["bootstrap"] | {"clusters": "image"}
    write_json(tmp_path / "metrics.json", {"mine": alone | {"unit": "image"}})
    page = render(Sources(metrics=tmp_path / "metrics.json", study=[study / "study.yaml"])).html
    assert "The patients of mine are unknown" in page
    assert page.count('<div class="banner') == 1, "its test is small, and no more is wrong"


def test_a_study_without_patients_never_calls_its_lesions_patients(study: Path, tmp_path: Path) -> None:
    metrics = read_json(study / "metrics.json")
    for entry in (*metrics.values(), metrics["cnn"]["validation"]):
        entry |= {"unit": "lesion", "bootstrap": entry["bootstrap"] | {"clusters": "lesion"}}
        entry.pop("patients", None)
    write_json(tmp_path / "metrics.json", metrics)
    notice = "Patients are unknown for 52 of 52 images; the lesion stands in for 52."
    leakage = read_json(study / "leakage.json") | {"unit": "lesion", "notices": [notice]}
    leakage["checked"] = {"test": {"images": 52, "melanomas": 17, "lesions": 13, "melanoma_lesions": 9}}
    write_json(tmp_path / "leakage.json", leakage)
    selected = {"selected_model": "cnn", "best_single": "cnn", "adopted": False, "significance_level": 0.05}
    test = {"difference": 0.0, "p": 0.5, "p_holm": 0.5, "adopted": False}
    selected |= {"n": 148, "melanomas": 40, "unit": "lesion", "units": 37, "auroc": {"cnn": 0.8, "mlp": 0.8}}
    write_json(tmp_path / "selected_model.json", selected | {"tests": {"mlp": test}})
    files = {name: tmp_path / f"{name}.json" for name in ("metrics", "leakage", "selected_model")}
    page = render(Sources(study=[study / "study.yaml"], **files)).html
    body = page.split("<main")[1].split('<section id="reproduce">')[0]
    assert notice in body and "37 lesions (patients unknown)" in body
    assert "No lesion, file" in body and "bootstrap replicates of lesions" in body
    assert "paired test over lesions" in body and "predicts each lesion by a fit to other lesions" in body
    beside = body.split('<section id="selected-model">')[1].split("</section>")[0]
    assert "Images of one patient may be both in training and in the test" in beside
    said = [text for text in re.findall(r"[^.<>]*\bpatients?\b[^.<>]*", body) if "unknown" not in text]
    assert [text for text in said if "Images of one patient" not in text] == []


def test_a_test_of_other_sources_is_not_said_to_be_of_the_same(study: Path, tmp_path: Path) -> None:
    same = "The test images come from the same sources as the training images."
    assert same in write_report(study, tmp_path)
    leakage = read_json(study / "leakage.json") | {"sources": {"train": ["ham"], "test": ["ham", "isic2017"]}}
    write_json(tmp_path / "leakage.json", leakage)
    page = write_report(study, tmp_path, leakage=tmp_path / "leakage.json")
    assert same not in page and "sources without training images (isic2017)" in page


def test_the_test_auroc_is_beside_the_out_of_fold_auroc_and_disjoint_intervals_are_a_notice(
    study: Path, tmp_path: Path
) -> None:
    metrics = read_json(study / "metrics.json")
    assert "do not overlap" not in write_report(study, tmp_path)
    metrics["cnn"]["auroc"] = {"value": 0.635, "low": 0.6, "high": 0.67}
    metrics["cnn"]["validation"]["auroc"] = {"value": 0.869, "low": 0.85, "high": 0.89}
    write_json(tmp_path / "metrics.json", metrics)
    page = write_report(study, tmp_path, metrics=tmp_path / "metrics.json")
    assert re.search(r"0\.64.*\n?.*\n?.*0\.87", page)
    assert re.search(r"do not overlap for cnn\.", page)


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
    card = re.findall(r"<li>.*Out-of-fold AUROC</span>.*</li>", page)[0]
    assert ">0.90</span>" in card and "0.80 to 0.95" in card and f">{test - 0.9:+.3f}</span>" in card
    assert ("The test AUROC is below this interval." in card) is below


def test_a_threshold_stands_beside_the_sensitivity_that_it_reached(study: Path, tmp_path: Path) -> None:
    metrics = read_json(study / "metrics.json")
    cells = metrics["cnn"]["thresholds"]["sensitivity_90"]
    cells |= {"tp": 11, "fn": 6, "fp": 1234, "tn": 5, "sensitivity": {"value": 0.647, "low": 0.5, "high": 0.8}}
    kinds = {"site": {"groups": {"torso": metrics["cnn"] | cells}, "heterogeneity": {}}}
    metrics["cnn"]["subgroups"] = {"rule": "sensitivity_90", "scale": "raw", "kinds": kinds}
    write_json(tmp_path / "metrics.json", metrics)
    page = write_report(study, tmp_path, metrics=tmp_path / "metrics.json").replace("&nbsp;", " ").replace("\xa0", " ")
    sections = {part: re.findall(rf'<section id="{part}">.*?</section>', page, re.S)[0] for part in SECTIONS}
    reached = "At the threshold for 90 % sensitivity, the sensitivity on the whole test set is 0.65 (95 % confidence"
    intended = f"selected out of fold, where its sensitivity is {cells['intended']['sensitivity']:.2f}"
    assert all(text in section for section in sections.values() for text in (reached, "0.50 to 0.80", intended))
    text, pictures = re.sub("<[^>]+>", "", sections["errors"]), sections["errors"].index('class="gallery"')
    assert "6 of 17 melanomas are missed, and 1,234 of 1,239 benign images are called melanoma." in text
    assert sections["errors"].index("are missed") < pictures, "the counts come before the pictures"
    assert "fewer than 5 melanomas" in sections["subgroups"]


def test_a_fusion_that_is_one_of_its_members_is_explained(study: Path, tmp_path: Path) -> None:
    fusion = {"method": "weighted", "fitted": True, "weights": {"cnn": 1e-17, "mlp": 1.0}}
    write_json(tmp_path / "blend.json", fusion)
    page = write_report(study, tmp_path, fusions=tmp_path / "blend.json")
    said = "The fusion blend gives all its weight to mlp"
    assert page.count(said) == 2, "below the models and below the fusions"
    write_json(tmp_path / "blend.json", fusion | {"weights": {"cnn": 0.5, "mlp": 0.5}})
    assert "all its weight" not in write_report(study, tmp_path, fusions=tmp_path / "blend.json")


def test_comparisons_of_the_selected_model_come_first_and_are_its_auroc_minus_the_other(
    study: Path, tmp_path: Path
) -> None:
    content = read_json(study / "comparisons.json")
    pair = content["pairs"][0] | {"difference": {"value": 0.1, "low": -0.05, "high": 0.2}}
    listed = [("mlp", "bayes", 0.001), ("mlp", "cnn", 0.04), ("cnn", "bayes", 0.03)]
    p = pair["bootstrap"]
    pairs = [pair | {"first": a, "second": b, "bootstrap": p | {"p_holm": value}} for a, b, value in listed]
    write_json(tmp_path / "comparisons.json", content | {"pairs": pairs})
    changed = {"comparisons": tmp_path / "comparisons.json", "selected_model": study / "selected_model.json"}
    page = write_report(study, tmp_path, **changed)
    lines = (tmp_path / "tables" / "comparisons.csv").read_text().splitlines()[1:]
    assert [",".join(line.split(",")[:5]) for line in lines] == [
        "cnn,bayes,0.1,-0.05,0.2",
        "cnn,mlp,-0.1,-0.2,0.05",
        "mlp,bayes,0.1,-0.05,0.2",
    ]
    assert "significantly higher than that of 1 of the 2 other models, and significantly lower than that of 1." in page
    assert "those of the selected model first" in page and "[-0.200, +0.050]" in page


def test_the_navigation_has_few_parts_and_every_section_once_in_the_order_of_the_page(
    study: Path, tmp_path: Path
) -> None:
    listed = [place for places in PARTS.values() for place in places]
    texts = [(TEMPLATES / f"{name}.html.j2").read_text() for name in ("results", "data", "models", "checklists")]
    assert listed == re.findall(r'<section id="([^"]+)">', "".join(texts)) and len(PARTS) <= 8
    page = write_report(study, tmp_path)
    bar = re.findall(r"<nav .*?</nav>", page, re.S)[0]
    assert re.findall(r'href="#([^"]+)"', bar) == re.findall(r'<section id="([^"]+)">', page)
    parts = re.findall(r"<summary>(.*?)</summary>", bar)
    assert parts == [part for part, places in PARTS.items() if any(f'href="#{place}"' in bar for place in places)]


@pytest.mark.parametrize(("melanomas", "patients", "warned"), [(19, 30, True), (20, 19, True), (20, 20, False)])
def test_a_small_test_set_has_a_warning(
    study: Path, tmp_path: Path, melanomas: int, patients: int, warned: bool
) -> None:
    metrics = read_json(study / "metrics.json")
    shown = {name: entry | {"melanomas": melanomas, "units": patients} for name, entry in metrics.items()}
    write_json(tmp_path / "metrics.json", shown)
    page = write_report(study, tmp_path, metrics=tmp_path / "metrics.json")
    assert ("The test set is too small for conclusions." in page) == warned


def test_each_model_says_which_weights_it_starts_from(study: Path, tmp_path: Path) -> None:
    recipes = {
        "own": {"network": "baseline_cnn"},
        "tuned": {"network": "resnest269"},
        "fresh": {"network": "resnest269", "backbone": {"pretrained": False}},
        "forest": {"network": "random_forest"},
        "theirs": {"network": "external_predictions", "file": "theirs.csv"},
    }
    for name, recipe in recipes.items():
        write_yaml(tmp_path / f"{name}.yaml", recipe)
    files = {name: tmp_path / f"{name}.yaml" for name in recipes}
    page = render(Sources(metrics=study / "metrics.json", study=[study / "study.yaml"], recipes=files)).html
    assert re.findall('<details class="long"><summary>(.*)</summary><div><p ', page) == [
        "own: baseline_cnn, initialized with random weights",
        "tuned: resnest269, initialized with pretrained weights resnest269-0cc87c48.pth",
        "fresh: resnest269, initialized with random weights",
        "forest: random_forest",
        "theirs: external_predictions",
    ]


def test_the_report_has_trials_seeds_robustness_and_the_accesses_to_the_test_set(study: Path, tmp_path: Path) -> None:
    entries = [{"time": f"2030-01-0{n + 1}", "test": "t", "configuration": f"{n % 2}"} for n in range(3)]
    write_text(tmp_path / "test_access_log.jsonl", "".join(json.dumps(entry) + "\n" for entry in entries))
    spread = {"auroc": [0.81, None], "sd": None}
    write_json(tmp_path / "seeds.json", {"cnn": {"seeds": ["1", "2"], "test": spread, "out_of_fold": spread}})
    write_yaml(tmp_path / "few.yaml", MINIMAL | {"evaluate": {"max_test_configurations": 1}})
    area = {"value": 0.654, "low": 0.6, "high": 0.7}
    robust = {"original": area, "corrupted": {"color_cast": {"3": area}}}
    write_json(tmp_path / "robustness.json", {"cnn": robust})
    changed = {
        "trials": study / "trials.csv",
        "seeds": tmp_path / "seeds.json",
        "robustness": tmp_path / "robustness.json",
        "test_access_log": tmp_path / "test_access_log.jsonl",
    }
    page = write_report(study, tmp_path, **changed)
    warning = "more than evaluate.max_test_configurations"
    assert '<section id="robustness">' in page and "At severity 3" in page and "color cast" in page
    assert "3 tuning trials" in page and "0.8123" in page and "0.810, none" in page
    assert "read 3 times since 2030-01-01, for 2 configurations" in page and warning not in page
    assert "For 2 configurations. If one was chosen by its test result, that result is too good." in page
    assert warning in write_report(study, tmp_path, **changed, study=tmp_path / "few.yaml")
