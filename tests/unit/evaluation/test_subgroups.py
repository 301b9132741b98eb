"""Each subgroup has the metrics of its rows alone, and a group in which the model is worse is found."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from labeled_predictions import QUICK, run_evaluate, study, write_study
from melanoma.common.files import write_parquet
from melanoma.evaluation.decisions import Decisions
from melanoma.evaluation.evaluate import evaluate
from melanoma.evaluation.subgroups import confirmed_metrics, subgroup_metrics
from melanoma.stats.metrics import confusion, measured
from melanoma.stats.recalibration import Recalibration

DECIDED = Decisions({"youden": 0.1, "sensitivity_90": 0.4})


def grouped(seed: int = 0) -> pd.DataFrame:
    """Return predictions of two clinics, which have the same patients; clinic B's scores are noise."""
    table = pd.concat([study(seed), study(seed + 1)], ignore_index=True)
    table["image"] = [f"image-{number}" for number in range(len(table))]
    clinic = np.where(np.arange(len(table)) % 2, "A", "B")
    noise = np.random.default_rng(seed).random(len(table))
    return table.assign(subgroup_clinic=clinic, probability=table["probability"].where(clinic == "A", noise))


def test_a_group_has_the_metrics_of_its_rows_at_the_threshold_of_the_target_sensitivity() -> None:
    table = grouped()
    found = subgroup_metrics(table, DECIDED, QUICK)
    assert found is not None
    assert (found["rule"], found["scale"]) == ("sensitivity_90", "raw")
    assert list(found["kinds"]) == ["clinic"]
    for clinic, group in found["kinds"]["clinic"]["groups"].items():
        rows = table[table["subgroup_clinic"] == clinic]
        pair = rows["target"].to_numpy(int), rows["probability"].to_numpy()
        assert (group["n"], group["melanomas"]) == (len(rows), pair[0].sum())
        assert group["auroc"]["value"] == pytest.approx(roc_auc_score(*pair), abs=1e-9)
        cells = confusion(*pair, 0.4)
        for rate in ("sensitivity", "specificity", "ppv"):
            assert group[rate]["value"] == pytest.approx(float(getattr(cells, rate)), abs=1e-9)
        for name, value in measured(Recalibration(*pair)).items():
            assert group[name]["value"] == pytest.approx(float(value), abs=1e-9)
            assert group[name]["low"] < group[name]["value"] < group[name]["high"]


def test_a_worse_group_is_told_from_equal_ones() -> None:
    found = subgroup_metrics(grouped(), DECIDED, QUICK)
    assert found is not None
    tests = found["kinds"]["clinic"]["heterogeneity"]
    assert tests["auroc"]["p_holm"] < 0.001
    assert tests["auroc"]["df"] == 1
    equal = grouped().assign(subgroup_clinic=np.where(np.arange(600) % 4 < 2, "A", "B"))
    same = subgroup_metrics(equal, DECIDED, QUICK)
    assert same is not None
    assert min(test["p_holm"] for test in same["kinds"]["clinic"]["heterogeneity"].values()) > 0.05


def test_histology_is_the_rows_that_it_confirms() -> None:
    table = study()
    assert confirmed_metrics(table, DECIDED, QUICK) is None
    how = np.where(np.arange(300) % 3, "histopathology", None)
    made = confirmed_metrics(table.assign(confirmation=how), DECIDED, QUICK)
    assert made is not None
    rows = table[np.arange(300) % 3 > 0]
    assert made["n"] == 200
    assert made["auroc"]["value"] == pytest.approx(roc_auc_score(rows["target"].to_numpy(int), rows["probability"]))


def test_the_script_reads_the_metadata_of_the_test_images(tmp_path: Path) -> None:
    table = study()
    test = table.loc[table["part"] == "test", ["image"]]
    metadata = test.assign(sex=np.where(np.arange(len(test)) % 2, "male", "female"), lesion=np.arange(len(test)) // 2)
    write_parquet(tmp_path / "test.parquet", metadata.astype({"lesion": str}))
    options = ["--test", str(tmp_path / "test.parquet"), "--replicates", "100", "--prevalence", "0.02"]
    entry = run_evaluate(tmp_path, *write_study(tmp_path, table), *options)["cnn"]
    assert list(entry["subgroups"]["kinds"]) == ["sex"]
    assert entry["subgroups"]["scale"] == "calibrated"
    assert entry["lesions"]["n"] == len(test) / 2
    at = entry["at_prevalence"]
    assert (at["prevalence"], at["case_control"]) == (0.02, True)
    assert list(at["thresholds"]) == list(entry["thresholds"]) and "net_benefit" in at["calibrated"]


def test_a_sample_near_the_stated_prevalence_is_no_case_control_sample() -> None:
    table = study()
    settings = QUICK.model_copy(update={"prevalence": float(table["target"].mean())})
    entry = evaluate({"cnn": table}, settings)["cnn"]
    assert entry["at_prevalence"]["case_control"] is False
    for name, interval in entry["at_prevalence"]["net_benefit"].items():
        assert interval["value"] == pytest.approx(entry["net_benefit"][name]["value"], abs=1e-9)
