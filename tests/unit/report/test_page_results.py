"""The report shows the results of all models: comparisons, thresholds, calibration, fusions and shortcuts."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from finished_study import write_report
from melanoma.common.files import read_json, write_json
from melanoma.config.study import Evaluate
from melanoma.evaluation.shortcuts import areas, find_shortcuts

SECTIONS = ("subgroups", "errors")  # those with rates at a threshold


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
        assert (label == "unknown") == (within[6] == "")
        if label == "known":
            assert f"{model['within_patient']['first']['value']:.2f}" in page
            assert f'data-sort="{model["within_patient"]["ranked"]}"' in page


def test_comparisons_are_counted(study: Path, tmp_path: Path) -> None:
    comparisons = read_json(study / "comparisons.json")
    write_json(tmp_path / "comparisons.json", comparisons | {"pairs": comparisons["pairs"] * 20})
    assert "20 comparisons, " in write_report(study, tmp_path, comparisons=tmp_path / "comparisons.json")


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
