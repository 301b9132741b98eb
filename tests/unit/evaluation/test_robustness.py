"""The AUROC on corrupted images: that of their predictions, with intervals over patients."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import evaluate_robustness as script
from in_process import call
from labeled_predictions import QUICK, study, write_study
from melanoma.common.errors import InputError
from melanoma.common.files import read_json, write_parquet, write_yaml
from melanoma.evaluation.robustness import robustness
from melanoma.predictions.test_access_log import read_access_log


def labeled_rows() -> pd.DataFrame:
    table = study()
    return table[table["part"] == "test"].reset_index(drop=True)


def corrupted(test: pd.DataFrame, noise: float = 0.0) -> pd.DataFrame:
    """Return predictions of two corruptions at severities 1 and 3, in another order of the images."""
    generator = np.random.default_rng(1)
    parts = []
    for corruption in ("blur", "hair"):
        for severity in (1, 3):
            rows = test[["image", "probability"]].sample(frac=1, random_state=severity)
            shifted = rows["probability"] + noise * severity * generator.normal(size=len(rows))
            parts.append(rows.assign(corruption=corruption, severity=np.int8(severity), probability=shifted))
    return pd.concat(parts, ignore_index=True)


def test_a_model_that_no_corruption_changes_has_the_same_auroc_and_interval_everywhere():
    test = labeled_rows()
    found = robustness(test, corrupted(test), QUICK, "cnn")
    assert found["original"]["value"] == roc_auc_score(test["target"].astype(int), test["probability"])
    assert found["original"]["low"] < found["original"]["value"] < found["original"]["high"]
    assert found["corrupted"] == {
        corruption: {"1": found["original"], "3": found["original"]} for corruption in ("blur", "hair")
    }


def test_the_auroc_is_that_of_the_predictions_of_the_corrupted_images():
    test = labeled_rows()
    table = corrupted(test, noise=0.5)
    found = robustness(test, table, QUICK, "cnn")["corrupted"]
    for (corruption, severity), rows in table.groupby(["corruption", "severity"]):
        joined = rows.merge(test[["image", "target"]], on="image")
        expected = roc_auc_score(joined["target"].astype(int), joined["probability"])
        assert found[corruption][str(severity)]["value"] == pytest.approx(expected, abs=1e-12)
    assert found["blur"]["3"]["value"] < found["blur"]["1"]["value"]


def test_a_test_of_one_class_is_an_error():
    test = labeled_rows().assign(target=0)
    with pytest.raises(InputError, match=r"all .* images are benign"):
        robustness(test, corrupted(test), QUICK, "cnn")


def test_the_script_reads_the_labels_and_logs_the_access(tmp_path):
    table = study()
    write_study(tmp_path, table)
    test = labeled_rows()
    write_parquet(tmp_path / "corrupted.parquet", corrupted(test))
    write_yaml(tmp_path / "settings.yaml", {"replicates": 100, "confidence_level": 0.95, "seed": 1})
    log, output = tmp_path / "log.jsonl", tmp_path / "robustness.json"
    call(
        script,
        *("--predictions", f"cnn={tmp_path / 'cnn.parquet'}", "--corrupted", f"cnn={tmp_path / 'corrupted.parquet'}"),
        *("--labels", tmp_path / "test_labels.parquet", "--settings", tmp_path / "settings.yaml"),
        *("--test-access-log", log, "--configuration", "0", "--output", output),
    )
    assert read_json(output) == {"cnn": robustness(test, corrupted(test), QUICK, "cnn")}
    (access,) = read_access_log(log)
    assert access["reader"] == "robustness" and access["models"] == ["cnn"]
