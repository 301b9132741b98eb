"""Each external source is a test set of its own, by the thresholds of the study, with its drop from the study."""

import math

import numpy as np
import pandas as pd
import pytest

from labeled_predictions import QUICK, study
from melanoma.evaluation.decisions import decide
from melanoma.evaluation.evaluate import evaluate, validate
from melanoma.evaluation.external import drop, evaluate_external
from melanoma.evaluation.summary import external_summary


def interval(value, low, high):
    return {"value": value, "low": low, "high": high}


@pytest.fixture(scope="module")
def table():
    return study()


@pytest.fixture(scope="module")
def decisions(table):
    return {"cnn": decide(table[table["part"] == "train"], "cnn", QUICK)}


@pytest.fixture(scope="module")
def inside(table, decisions):
    entries = evaluate({"cnn": table[table["part"] == "test"]}, QUICK, decisions)
    entries["cnn"]["validation"] = validate({"cnn": table[table["part"] == "train"]}, QUICK)["cnn"]
    return entries


@pytest.fixture(scope="module")
def tests(decisions, inside):
    """Two external tests: other patients of the same distribution, and some whose scores tell nothing."""
    same, other = study(seed=1), study(seed=2)
    other = other.assign(
        image="X" + other["image"], probability=np.random.default_rng(3).permutation(other["probability"])
    )
    other["logit"] = np.log(other["probability"] / (1 - other["probability"]))
    rows = pd.concat([same.assign(source="clinic"), other.assign(source="elsewhere")], ignore_index=True)
    labels = rows[["image", "target", "source"]].assign(unit="patient")
    images = rows[["image", "source"]].assign(sex="male")
    predictions = {"cnn": rows.assign(part="test", target=pd.NA)}
    predictions["theirs"] = predictions["cnn"].iloc[:-1]
    return evaluate_external(predictions, images, labels, QUICK, decisions, inside)


def test_the_drop_of_two_symmetric_intervals_adds_their_squares():
    found = drop(interval(0.9, 0.86, 0.94), interval(0.8, 0.77, 0.83))
    assert found == pytest.approx(interval(0.1, 0.1 - 0.05, 0.1 + 0.05))


def test_the_drop_of_skew_intervals_takes_the_ends_that_add_up():
    found = drop(interval(0.9, 0.8, 0.93), interval(0.7, 0.66, 0.76))
    assert found == pytest.approx(interval(0.2, 0.2 - math.hypot(0.1, 0.06), 0.2 + math.hypot(0.03, 0.04)))


def test_without_an_interval_the_drop_has_none():
    found = drop(interval(0.9, None, None), interval(0.7, 0.6, 0.8))
    assert found["value"] == pytest.approx(0.2) and math.isnan(found["low"]) and math.isnan(found["high"])


def test_95_of_100_intervals_of_a_drop_hold_the_true_one():
    """Shares of two groups with Wilson intervals, whose ends are skew near 1."""
    generator = np.random.default_rng(0)

    def share(true, count):
        value = generator.binomial(count, true) / count
        center, half = (
            (value + 1.92 / count) / (1 + 3.84 / count),
            np.sqrt(value * (1 - value) / count + 0.96 / count**2) * 1.96 / (1 + 3.84 / count),
        )
        return interval(value, center - half, center + half)

    drops = [drop(share(0.95, 60), share(0.8, 90)) for _ in range(4000)]
    held = np.mean([each["low"] <= 0.15 <= each["high"] for each in drops])
    assert 0.935 < held < 0.97


def test_each_source_is_a_test_of_its_own(tests):
    assert list(tests) == ["clinic", "elsewhere"]
    assert tests["clinic"]["cnn"]["n"] == 300 and tests["clinic"]["cnn"]["units"] == 60
    assert tests["clinic"]["cnn"]["auroc"]["value"] > 0.85 > 0.6 > tests["elsewhere"]["cnn"]["auroc"]["value"]


def test_a_model_that_lacks_an_image_of_a_source_has_no_result_there_and_the_summary_says_so(tests, inside):
    assert set(tests["clinic"]) == {"cnn", "theirs"} and set(tests["elsewhere"]) == {"cnn"}
    text = external_summary(tests, inside | {"theirs": inside["cnn"]})
    assert text.count("No result on") == 1 and "No result on elsewhere: theirs." in text
    assert external_summary({"clinic": {}}, inside).startswith("No result on clinic: cnn.")


def test_the_decisions_are_those_of_the_study(tests, decisions):
    thresholds = {rule: each["threshold"] for rule, each in tests["clinic"]["cnn"]["thresholds"].items()}
    assert thresholds == decisions["cnn"].thresholds and "calibrated" in tests["clinic"]["cnn"]


def test_the_drop_is_that_from_the_internal_test_and_out_of_fold(tests, inside):
    entry = tests["elsewhere"]["cnn"]
    dropped = entry["drop"]["internal_test"]
    assert dropped["auroc"]["value"] == pytest.approx(inside["cnn"]["auroc"]["value"] - entry["auroc"]["value"])
    assert dropped["auroc"]["low"] > 0 > tests["clinic"]["cnn"]["drop"]["internal_test"]["auroc"]["low"]
    sensitivities = [each["thresholds"]["youden"]["sensitivity"]["value"] for each in (inside["cnn"], entry)]
    expected = sensitivities[0] - sensitivities[1]
    assert dropped["thresholds"]["youden"]["sensitivity"]["value"] == pytest.approx(expected)
    validation = inside["cnn"]["validation"]["auroc"]["value"]
    out_of_fold = entry["drop"]["out_of_fold"]
    assert out_of_fold["auroc"]["value"] == pytest.approx(validation - entry["auroc"]["value"])
    assert out_of_fold["thresholds"] == {}


def test_the_summary_puts_the_three_results_side_by_side(tests, inside):
    text = external_summary(tests, inside)
    assert "External test clinic: 300 images" in text
    for value in (tests["clinic"]["cnn"]["auroc"], inside["cnn"]["auroc"], inside["cnn"]["validation"]["auroc"]):
        assert f"{value['value']:.4f} [" in text
