"""Predictions of any origin are evaluated on test alone, and every number has its interval."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from labeled_predictions import QUICK, csv, run_evaluate, study, write_study
from melanoma.common.errors import InputError
from melanoma.common.files import read_json, write_yaml
from melanoma.evaluation.cohorts import cohorts
from melanoma.evaluation.curves import curves
from melanoma.evaluation.decisions import Decisions, decide
from melanoma.evaluation.evaluate import (
    comparisons,
    evaluate,
    reliability,
    reliability_bins,
    validate,
)
from melanoma.evaluation.summary import summary
from melanoma.predictions.table import named_paths, read_predictions
from melanoma.stats.log_odds import logit
from melanoma.stats.metrics import RATES, confusion
from melanoma.stats.thresholds import choose_thresholds
from real_data import real_data


def test_only_test_is_evaluated_and_out_of_fold_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = study()
    settings = tmp_path / "evaluate.yaml"
    write_yaml(settings, {"replicates": 150, "confidence_level": 0.9, "seed": 3})
    more = ["--settings", str(settings), "--replicates", "100"]
    outputs = ["--summary", str(tmp_path / "summary.txt"), "--curves", str(tmp_path / "curves.json")]
    entry = run_evaluate(tmp_path, *write_study(tmp_path, table), *more, *outputs)["cnn"]
    for part, evaluated in (("test", entry), ("train", entry["validation"])):
        rows = table[table["part"] == part]
        pair = rows["target"].to_numpy(int), rows["probability"]
        assert evaluated["auroc"]["value"] == pytest.approx(roc_auc_score(*pair), abs=1e-12)
        assert evaluated["average_precision"]["value"] == pytest.approx(average_precision_score(*pair), abs=1e-12)
        assert evaluated["brier"]["value"] == pytest.approx(brier_score_loss(*pair), abs=1e-12)
        assert (evaluated["n"], evaluated["melanomas"]) == (len(rows), rows["target"].sum())
        assert (evaluated["unit"], evaluated["units"]) == ("patient", rows["patient"].nunique())
        for metric in ("auroc", "average_precision", "partial_auroc", "brier", "log_loss"):
            assert evaluated[metric]["low"] < evaluated[metric]["value"] < evaluated[metric]["high"]
    made = {
        "replicates": 100,
        "confidence_level": 0.9,
        "seed": 3,
        "clusters": "patient",
        "degenerate_replicates": 0,
    }
    assert entry["bootstrap"] == made
    fold = table[table["fold"] == 1]
    expected = roc_auc_score(fold["target"].to_numpy(int), fold["probability"])
    assert entry["validation"]["fold_auroc"]["1"] == pytest.approx(expected, abs=1e-12)
    assert capsys.readouterr().out == "", "the summary is in its file"
    drawn = read_json(tmp_path / "curves.json")["cnn"]
    assert set(drawn) == {"prevalence", "roc", "precision_recall", "decision", "validation"}
    by_fold = entry["validation"]["fold_auroc"] | {"pooled": entry["validation"]["auroc"]["value"]}
    for name, curve in (drawn["validation"]["folds"] | {"pooled": drawn["validation"]["pooled"]}).items():
        area = np.trapezoid(curve["roc"]["true_positive_rate"], curve["roc"]["false_positive_rate"])
        assert area == pytest.approx(by_fold.pop(name), abs=1e-12)
    assert not by_fold, "every fold has its curve"


def test_tensorboard_has_the_final_metrics_of_the_latest_evaluation(tmp_path: Path) -> None:
    options = [*write_study(tmp_path, study()), "--replicates", "100", "--tensorboard", str(tmp_path / "curves")]
    for _ in range(2):
        entry = run_evaluate(tmp_path, *options)["cnn"]
    (file,) = (path for path in (tmp_path / "curves").rglob("*") if path.is_file())
    shown = EventAccumulator(str(file.parent)).Reload()
    for label, value in (("test", entry["auroc"]), ("out_of_fold", entry["validation"]["auroc"])):
        (scalar,) = shown.Scalars(f"final/{label}_auroc")
        assert file.parent.name == "cnn" and scalar.value == pytest.approx(value["value"], rel=1e-6)


def test_out_of_fold_predictions_do_not_change_what_the_test_says_of_the_raw_scores(tmp_path: Path) -> None:
    table = study()
    entry = run_evaluate(tmp_path, *write_study(tmp_path, table), "--replicates", "100")["cnn"]
    table.loc[table["part"] == "train", "probability"] **= 3
    table["logit"] = logit(table["probability"])
    other = run_evaluate(tmp_path, *write_study(tmp_path, table), "--replicates", "100")["cnn"]
    for chosen in ("validation", "thresholds", "calibrated", "patients", "selective"):
        assert other.pop(chosen) != entry.pop(chosen)
    assert other == entry


def test_labels_of_test_move_no_threshold_and_no_calibrator(tmp_path: Path) -> None:
    table = study()
    files = "--calibration", str(tmp_path / "calibration.json"), "--replicates", "100"
    entry = run_evaluate(tmp_path, *write_study(tmp_path, table), *files)["cnn"]
    calibration = read_json(tmp_path / "calibration.json")["cnn"]
    test = table["part"] == "test"
    table.loc[test, "target"] = 1 - table.loc[test, "target"]
    turned = run_evaluate(tmp_path, *write_study(tmp_path, table), *files)["cnn"]
    assert turned["auroc"] != entry["auroc"]
    for rule, cells in entry["thresholds"].items():
        assert turned["thresholds"][rule]["threshold"] == cells["threshold"]
    other = read_json(tmp_path / "calibration.json")["cnn"]
    assert other.pop("reliability") != calibration.pop("reliability")
    assert other == calibration


def test_thresholds_are_those_of_the_out_of_fold_rows_and_counts_those_of_test(tmp_path: Path) -> None:
    table = study()
    entry = run_evaluate(tmp_path, *write_study(tmp_path, table), "--replicates", "100", "--target-sensitivity", "0.8")[
        "cnn"
    ]
    pairs = {
        part: (rows["target"].to_numpy(int), rows["probability"].to_numpy()) for part, rows in table.groupby("part")
    }
    assert list(entry["thresholds"]) == ["g_mean", "youden", "f2", "sensitivity_80"]
    for rule, threshold in choose_thresholds(*pairs["train"], 0.8).items():
        evaluated = entry["thresholds"][rule]
        cells = confusion(*pairs["test"], threshold)
        assert evaluated["threshold"] == threshold
        assert [evaluated[cell] for cell in ("tp", "fp", "tn", "fn")] == [cells.tp, cells.fp, cells.tn, cells.fn]
        for rate in RATES:
            assert evaluated[rate]["value"] == pytest.approx(float(getattr(cells, rate)))
            assert evaluated[rate]["low"] <= evaluated[rate]["value"] <= evaluated[rate]["high"]


def test_calibrated_metrics_are_those_of_the_calibrated_probabilities(tmp_path: Path) -> None:
    table = study()
    out_of_fold, test = table[table["part"] == "train"], table[table["part"] == "test"]
    made = decide(out_of_fold, "cnn", QUICK, training_prevalence=0.5)
    entry = evaluate({"cnn": test}, QUICK, {"cnn": made})["cnn"]
    target, calibrated = test["target"].to_numpy(int), made.calibrated(test["probability"].to_numpy())
    assert entry["calibrated"]["brier"]["value"] == pytest.approx(brier_score_loss(target, calibrated), abs=1e-12)
    assert {"brier", "log_loss", "ece", "net_benefit"} <= set(entry["calibrated"])
    assert list(entry["net_benefit"]) == ["0.01", "0.02", "0.05", "0.1", "0.2"]
    assert "prior_shift" in made.calibration.log_losses


def test_an_external_file_gets_no_threshold_and_no_calibration(tmp_path: Path) -> None:
    path = csv(tmp_path, "image_name,target,prob\na,1,.9\nb,0,.2\nc,0,.4\nd,1,.3\n")
    entry = run_evaluate(tmp_path, "--predictions", str(path), "--replicates", "100")["mine"]
    assert not {"thresholds", "calibrated", "validation"} & set(entry)


def test_models_are_evaluated_as_they_would_be_alone() -> None:
    table = study()
    worse = study(seed=3).assign(target=table["target"])
    part = table.iloc[:200]
    tables = {"cnn": table, "part": part, "worse": worse.sample(frac=1, random_state=0)}
    assert [list(group) for group in cohorts(tables)] == [["cnn", "worse"], ["part"]]
    together = evaluate(tables, QUICK)
    assert list(together) == list(tables)
    for name, alone in tables.items():
        assert together[name] == evaluate({name: alone}, QUICK)[name]


def test_comparisons_are_made_on_the_images_that_all_predict() -> None:
    table = study()
    other = table.assign(probability=table["probability"].sample(frac=1, random_state=0).to_numpy())
    made = comparisons({"cnn": table.iloc[50:], "chance": other.iloc[:250]}, QUICK)
    common = table.iloc[50:250]
    assert (made["n"], made["melanomas"]) == (200, int(common["target"].sum()))
    (pair,) = made["pairs"]
    target = common["target"].to_numpy(int)
    areas = [roc_auc_score(target, model.iloc[50:250]["probability"]) for model in (table, other)]
    assert pair["difference"]["value"] == pytest.approx(areas[0] - areas[1])
    assert pair["bootstrap"]["p_holm"] < 0.01
    assert comparisons({"cnn": table}, QUICK)["pairs"] == []
    with pytest.raises(InputError, match=r"cnn and other have different labels for 2 images:\n  - ISIC_0000000"):
        comparisons({"cnn": table, "other": table.assign(target=table["target"] ^ (table.index < 2))}, QUICK)


def test_reliability_bins_halve_and_keep_ties_together() -> None:
    sizes = [int(members.sum()) for members in reliability_bins(np.random.default_rng(0).random(320))]
    assert sizes == pytest.approx([160, 80, 40, 20, 10, 10], abs=1)
    tied = np.repeat([0.0, 0.2, 1.0], [70, 20, 10])
    bins = reliability_bins(tied)
    assert np.sum(bins, axis=0).tolist() == [1] * 100
    assert all(members.any() for members in bins)
    assert all(len({bool(b) for b in members[tied == value]}) == 1 for members in bins for value in tied)


def test_reliability_is_the_share_of_melanomas_in_each_bin() -> None:
    table = study()
    (curve,) = reliability({"cnn": table}, QUICK, {"cnn": Decisions()})["cnn"]["reliability"].values()
    members = reliability_bins(table["probability"].to_numpy())
    assert len(curve) == len(members)
    for made, inside in zip(curve, members, strict=True):
        assert made["predicted"]["value"] == pytest.approx(table.loc[inside, "probability"].mean())
        assert made["observed"]["value"] == pytest.approx(table.loc[inside, "target"].mean())


@pytest.mark.parametrize("text", ["other=0.5", "cnn=1.5", "cnn=half", "cnn"])
def test_a_training_prevalence_is_a_share_of_a_model(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=f"--training-prevalence {text}: give NAME=SHARE, NAME one of cnn"):
        run_evaluate(tmp_path, *write_study(tmp_path, study()), "--training-prevalence", text)


def test_any_csv_is_scored_under_the_name_of_its_file(tmp_path: Path) -> None:
    table = study().rename(columns={"image": "image_name", "patient": "patient_id", "probability": "prob"})
    table[["image_name", "patient_id", "target", "prob"]].to_csv(tmp_path / "mine.csv", index=False)
    options = ["--predictions", str(tmp_path / "mine.csv"), "--replicates", "100", "--threshold", "0.3"]
    entry = run_evaluate(tmp_path, *options)["mine"]
    assert entry["n"] == 300
    assert (entry["unit"], entry["units"]) == ("patient", 60)
    cells = confusion(table["target"].to_numpy(int), table["prob"], 0.3)
    evaluated = entry["thresholds"]["given"]
    counts = [cells.tp, cells.fp, cells.tn, cells.fn]
    assert [evaluated[cell] for cell in ("tp", "fp", "tn", "fn")] == counts
    assert evaluated["sensitivity"]["value"] == pytest.approx(cells.sensitivity)
    assert evaluated["specificity"]["low"] < cells.specificity < evaluated["specificity"]["high"]


def test_without_patients_images_are_resampled_and_the_result_says_so() -> None:
    entry = evaluate({"cnn": study().assign(patient=None)}, QUICK)["cnn"]
    assert entry["bootstrap"]["clusters"] == "image"
    assert (entry["unit"], entry["units"]) == ("image", 300)
    assert "replicates of images" in summary({"cnn": entry})
    assert "unknown" in summary({"cnn": entry})


def test_the_summary_is_a_table_in_the_order_given() -> None:
    entry = evaluate({"cnn": study()}, QUICK)["cnn"]
    lines = summary({"zoo_of_models": entry, "cnn": entry}).splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["model", "-------------", "zoo_of_models", "cnn"]
    column = lines[0].index("AUROC")
    assert lines[2][column:].startswith(f"{entry['auroc']['value']:.4f} [{entry['auroc']['low']:.4f}, ")
    assert lines[3][column:] == lines[2][column:]
    assert lines[-1].startswith(
        "In brackets: 95% confidence intervals (accelerated percentile) from 100 bootstrap replicates of patients"
    )


def test_curves_keep_their_areas_with_few_points() -> None:
    table = study()
    drawn, entry = curves(table, "cnn", QUICK, Decisions()), evaluate({"cnn": table}, QUICK)["cnn"]
    roc, recall = drawn["roc"], drawn["precision_recall"]["recall"]
    area = np.trapezoid(roc["true_positive_rate"], roc["false_positive_rate"])
    assert area == pytest.approx(entry["auroc"]["value"], abs=1e-12)
    area = np.sum(np.diff(recall, prepend=0) * drawn["precision_recall"]["precision"])
    assert area == pytest.approx(entry["average_precision"]["value"], abs=1e-12)
    assert len(recall) == entry["melanomas"]
    assert len(roc["true_positive_rate"]) < len(table) / 2


def test_a_fold_of_one_class_has_no_auroc() -> None:
    table = study()
    table = table[(table["part"] == "train") & ~((table["fold"] == 0) & (table["target"] == 1))]
    assert validate({"cnn": table}, QUICK)["cnn"]["fold_auroc"]["0"] is None


def test_what_has_no_auroc_is_refused() -> None:
    table = study()
    with pytest.raises(InputError, match="all 300 images are benign"):
        evaluate({"cnn": table.assign(target=0)}, QUICK)
    with pytest.raises(InputError, match="an image has no label"):
        evaluate({"cnn": table.assign(target=pd.NA)}, QUICK)
    with pytest.raises(InputError, match="no rows to evaluate"):
        evaluate({"cnn": table.iloc[:0]}, QUICK)


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("--target-sensitivity", "90", "target_sensitivity: must be at most 1, got 90.0"),
        ("--threshold-probabilities", "1", "threshold_probabilities.0: must be less than 1, got 1.0"),
        ("--replicates", "0", "replicates: must be at least 100, got 0"),
        ("--confidence-level", "95", "confidence_level: must be less than 1, got 95.0"),
    ],
)
def test_an_option_out_of_range_is_refused(tmp_path: Path, option: str, value: str, problem: str) -> None:
    with pytest.raises(InputError, match=f"wrong option: {problem}; see"):
        run_evaluate(tmp_path, *write_study(tmp_path, study()), option, value)


def test_an_unknown_setting_is_refused(tmp_path: Path) -> None:
    write_yaml(tmp_path / "evaluate.yaml", {"replicate": 10})
    with pytest.raises(
        InputError,
        match=r"(?s)evaluate.yaml holds no valid settings.*unknown key 'replicate' .did you mean 'replicates'",
    ):
        run_evaluate(tmp_path, *write_study(tmp_path, study()), "--settings", str(tmp_path / "evaluate.yaml"))


PUBLISHED = {
    "CNN": (6626, 114, 0.851786, 0.101940, 0.1756, 0.5802363157, (4981, 1531, 23, 91)),
    "ResNeSt269": (6626, 114, 0.929175, 0.280555, 0.0313, 0.0034711277, (5293, 1219, 12, 102)),
    "ResNeSt200": (8282, 147, 0.907188, 0.197096, None, 0.3476248085, (6695, 1440, 24, 123)),
}


@pytest.mark.real_data
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_predictions_have_their_known_figures(tmp_path: Path, name: str) -> None:
    n, melanomas, auroc, precision, brier, printed, (tn, fp, fn, tp) = PUBLISHED[name]
    path = real_data(f"published-predictions/{name}_test_predictions.csv")
    # Printed thresholds are a melanoma's own score cut to ten digits, and that score counted as below it.
    scores = read_predictions(path)["probability"]
    threshold = np.nextafter(scores[(scores - printed).abs().idxmin()], 1)
    options = ["--predictions", str(path), "--replicates", "100", "--threshold", repr(float(threshold))]
    entry = run_evaluate(tmp_path, *options)[f"{name}_test_predictions"]
    assert (entry["n"], entry["melanomas"]) == (n, melanomas)
    assert entry["auroc"]["value"] == pytest.approx(auroc, abs=1e-6)
    assert entry["average_precision"]["value"] == pytest.approx(precision, abs=1e-6)
    if brier is not None:
        assert entry["brier"]["value"] == pytest.approx(brier, abs=5e-5)
    assert [entry["thresholds"]["given"][cell] for cell in ("tn", "fp", "fn", "tp")] == [tn, fp, fn, tp]
    assert entry["bootstrap"]["clusters"] == "patient"
    for metric in ("auroc", "average_precision", "partial_auroc", "brier", "log_loss", "sensitivity_at_90_specificity"):
        assert entry[metric]["low"] < entry[metric]["value"] < entry[metric]["high"]


@pytest.mark.real_data
def test_published_models_are_compared_on_their_common_images(tmp_path: Path) -> None:
    paths = [f"{name}={real_data(f'published-predictions/{name}_test_predictions.csv')}" for name in PUBLISHED]
    made = comparisons({name: read_predictions(path) for name, path in named_paths(paths).items()}, QUICK)
    assert (made["n"], made["melanomas"]) == (6626, 114)
    found = {(pair["first"], pair["second"]): pair for pair in made["pairs"]}
    shallow = found["CNN", "ResNeSt269"]
    assert shallow["difference"]["value"] == pytest.approx(0.851786 - 0.929175, abs=2e-6)
    assert shallow["difference"]["high"] < 0 and shallow["bootstrap"]["p_holm"] < 0.001
    assert found["ResNeSt269", "ResNeSt200"]["bootstrap"]["p_holm"] > 0.01
