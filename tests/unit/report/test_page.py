"""The report is one page that contains all that it shows."""

import json
import re
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd

from finished_study import write_report
from melanoma.common.files import read_json, write_json, write_text, write_yaml
from melanoma.common.provenance import ROOT
from melanoma.report.page import PARTS, TEMPLATES, render
from melanoma.report.sources import Sources
from minimal_config import MINIMAL

VENDOR = TEMPLATES / "vendor"


class Links(HTMLParser):
    """Collects what a page refers to, and checks that each tag is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]
        if tag not in ("meta", "img", "br", "wbr", "link", "hr", "input"):
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


def test_the_same_sources_give_the_same_report(study: Path, tmp_path: Path) -> None:
    assert write_report(study, tmp_path) == write_report(study, tmp_path)


def test_values_of_tables_are_escaped(study: Path, tmp_path: Path) -> None:
    write_yaml(tmp_path / "study.yaml", MINIMAL | {"report": {"identifiers": True}})
    page = write_report(study, tmp_path, study=tmp_path / "study.yaml")
    assert "<b>-4</b>" not in page
    assert "&lt;b&gt;-4&lt;/b&gt;" in page


def test_a_predefined_split_names_its_table(study: Path, tmp_path: Path) -> None:
    predefined = {"table": "folds.csv", "column": "tfrecord", "test": [0, 1], "folds": [[2], [3]]}
    split = {"method": "predefined", "folds": 2, "run_folds": [0], "predefined": predefined}
    write_yaml(tmp_path / "study.yaml", MINIMAL | {"split": split})
    page = write_report(study, tmp_path, study=tmp_path / "study.yaml")
    assert "read from column tfrecord of folds.csv. The test set has the values 0, 1." in page
    assert "The leakage check found no leak." in page


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
