"""Calibrators and thresholds are kept with all that they are: their files alone give the numbers of the evaluation."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss

from fresh import fresh
from labeled_predictions import QUICK, run_evaluate, study, write_study
from melanoma.common.files import read_json, write_json, write_parquet
from melanoma.evaluation.decisions import Decisions
from melanoma.evaluation.evaluate import reliability
from melanoma.stats import calibration, thresholds
from melanoma.stats.calibration import Choice, candidates
from melanoma.stats.metrics import confusion

METHODS = ["none", "prior_shift", "temperature", "platt", "isotonic"]
APPLY = """
import pandas as pd
from melanoma.stats import calibration
table = pd.read_parquet("new.parquet")
calibrator = calibration.load("calibration.json")["cnn"]
table.assign(calibrated=calibrator.apply(table["probability"].to_numpy())).to_parquet("calibrated.parquet")
"""


@pytest.mark.parametrize("method", METHODS)
def test_a_calibrator_of_any_method_is_applied_from_its_file_alone(tmp_path: Path, method: str) -> None:
    table = study()
    out_of_fold, test = table[table["part"] == "train"], table[table["part"] == "test"]
    fit = candidates(training_prevalence=0.5)[method]
    made = fit(out_of_fold["target"].to_numpy(int), out_of_fold["probability"].to_numpy())
    decisions = {"cnn": Decisions(calibration=Choice(made, {}))}
    write_json(tmp_path / "calibration.json", reliability({"cnn": test}, QUICK, decisions))
    write_parquet(tmp_path / "new.parquet", test[["probability"]])
    fresh(tmp_path, APPLY)
    found = pd.read_parquet(tmp_path / "calibrated.parquet")["calibrated"]
    assert found.tolist() == made.apply(test["probability"].to_numpy()).tolist()
    assert read_json(tmp_path / "calibration.json")["cnn"]["calibrator"]["method"] == method


def test_the_files_of_an_evaluation_give_its_calibrated_metrics_and_its_counts(tmp_path: Path) -> None:
    table = study()
    options = [
        "--training-prevalence",
        "cnn=0.5",
        "--replicates",
        "100",
        "--calibration",
        tmp_path / "calibration.json",
    ]
    entry = run_evaluate(tmp_path, *write_study(tmp_path, table), *options)["cnn"]
    test = table[table["part"] == "test"]
    target, probability = test["target"].to_numpy(int), test["probability"].to_numpy()
    calibrated = calibration.load(tmp_path / "calibration.json")["cnn"].apply(probability)
    assert not np.array_equal(calibrated, probability)
    assert entry["calibrated"]["brier"]["value"] == pytest.approx(brier_score_loss(target, calibrated), abs=1e-12)
    kept = thresholds.load(tmp_path / "metrics.json")["cnn"]
    assert list(kept) == ["g_mean", "youden", "f2", "sensitivity_90"]
    for rule, threshold in kept.items():
        cells = confusion(target, probability, threshold)
        assert [entry["thresholds"][rule][cell] for cell in ("tp", "fp")] == [cells.tp, cells.fp]


def test_what_was_evaluated_without_out_of_fold_predictions_has_neither(tmp_path: Path) -> None:
    options = write_study(tmp_path, study())
    without_train = options[: options.index("--train")]
    run_evaluate(tmp_path, *without_train, "--replicates", "100", "--calibration", tmp_path / "calibration.json")
    assert calibration.load(tmp_path / "calibration.json") == {}
    assert thresholds.load(tmp_path / "metrics.json") == {"cnn": {}}
