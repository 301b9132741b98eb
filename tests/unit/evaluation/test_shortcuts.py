"""The shortcut analysis, on random scores, on scores of known shortcuts and on published predictions."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import analyze_shortcuts as script
import tiny
from in_process import call
from melanoma.common.files import read_json, write_parquet, write_yaml
from melanoma.config.study import Evaluate
from melanoma.evaluation.evaluate import comparisons
from melanoma.evaluation.shortcuts import acquisition_score, baselines, differences, find_shortcuts
from melanoma.evaluation.subgroups import subgroups
from melanoma.predictions.table import read_predictions
from real_data import real_data

FAST = Evaluate(replicates=100)


def table(count: int = 400, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    rows = tiny.table(count, seed)
    width = np.where(random.random(count) < 0.5, 6000, 640)
    return rows.assign(width=width, height=480, probability=random.random(count))


def test_every_image_is_in_one_group_of_each_kind() -> None:
    rows = table()
    for levels in subgroups(rows).values():
        assert (np.sum(list(levels.values()), axis=0) == 1).all()
    assert set(subgroups(rows)["sex"]) == {"male", "female", "missing"}


def test_skin_types_are_subgroups_where_a_table_has_them() -> None:
    rows = table()
    assert "skin_type" not in subgroups(rows)
    typed = rows.assign(skin_type=np.where(rows.index < 100, "5", None))
    assert {name: members.sum() for name, members in subgroups(typed)["skin_type"].items()} == {
        "5": 100,
        "missing": 300,
    }


def test_image_size_as_a_score_has_a_high_r2_and_no_auroc_within_size() -> None:
    rows = table()
    rows["width"] = np.where(rows["target"] == 1, 640, rows["width"])
    noise = 0.01 * np.random.default_rng(9).random(len(rows))
    sized = {"size": rows.assign(probability=0.4 + 0.3 * (rows["width"] == 640) + noise)}
    found = find_shortcuts(sized, FAST)["models"]["size"]
    assert found["auroc"]["value"] > 0.7
    assert abs(found["within_size"]["auroc"]["value"] - 0.5) < 0.1
    assert found["r2"]["value"] > 0.5


def test_a_random_score_has_no_r2_and_unknown_patients_or_sizes_have_no_auroc_within() -> None:
    rows = table()
    found = find_shortcuts({"noise": rows}, FAST)["models"]["noise"]
    assert found["r2"]["value"] < 0.1
    unnamed = find_shortcuts({"noise": rows.assign(patient=None)}, FAST)["models"]["noise"]
    assert unnamed["within_patient"] is None and unnamed["within_size"] is not None
    unsized = find_shortcuts({"noise": rows.assign(width=0, height=0)}, FAST)["models"]["noise"]
    assert unsized["within_size"] is None


def test_acquisition_is_fitted_to_other_patients_and_reads_no_label() -> None:
    rows = table()
    score = rows["probability"].to_numpy()
    flipped = rows.assign(target=1 - rows["target"])
    np.testing.assert_array_equal(acquisition_score(rows, score, 1), acquisition_score(flipped, score, 1))


def test_baselines_without_sizes_leave_them_out() -> None:
    rows = table(90)
    test = rows.iloc[:20].assign(image=[f"T{n}" for n in range(20)]).drop(columns=["target", "fold"])
    assert list(baselines(rows, test, [0], "refit", 1))[-1] == "and image size"
    unsized = [part.assign(width=0, height=0) for part in (rows, test)]
    assert list(baselines(*unsized, [0], "refit", 1))[-1] == "and images per patient"


def test_each_model_is_compared_with_the_last_baseline_on_the_images_of_both() -> None:
    rows = table()
    blind, other = (rows.assign(probability=np.random.default_rng(seed).random(len(rows))) for seed in (2, 3))
    right = rows.assign(probability=rows["target"] + blind["probability"])
    known = {"age": other, "and image size": blind}
    found = differences({"some": right.iloc[:300], "same": blind, "benign": rows[rows["target"] == 0]}, known, FAST)
    (pair,) = comparisons({"some": right.iloc[:300], "blind": blind.sample(frac=1, random_state=1)}, FAST)["pairs"]
    assert found == {
        "some": {"difference": pair["difference"], "p": pair["bootstrap"]["p"]},
        "same": {"difference": {"value": 0, "low": 0, "high": 0}, "p": 1},
    }
    assert found["some"]["difference"]["low"] > 0 and found["some"]["p"] < 0.001
    assert differences({"some": right}, {}, FAST) == {}


def test_baselines_of_few_images_are_still_divided_into_leaves() -> None:
    rows = table(60)
    test = rows.iloc[:20].assign(image=[f"T{n}" for n in range(20)]).drop(columns=["target", "fold"])
    for predictions in baselines(rows, test, [0], "refit", 1).values():
        assert predictions["probability"].nunique() > 1


def test_the_script_analyzes_test_and_out_of_fold(tmp_path: Path) -> None:
    rows = table(200)
    train, test = rows.iloc[:150], rows.iloc[150:]
    parts = [(train[train["fold"] == 0], "train", 0), (test, "test", -1)]
    predicted = pd.concat([part[["image", "patient", "probability"]].assign(part=p, fold=f) for part, p, f in parts])
    write_parquet(tmp_path / "cnn.parquet", predicted)
    write_parquet(tmp_path / "train.parquet", train)
    write_parquet(tmp_path / "test.parquet", test.drop(columns=["target", "fold", "diagnosis"]))
    write_parquet(tmp_path / "labels.parquet", test[["image", "target"]])
    write_yaml(tmp_path / "evaluate.yaml", {"replicates": 100})
    options = ["--settings", tmp_path / "evaluate.yaml", "--predictions", f"cnn={tmp_path / 'cnn.parquet'}"]
    options += ["--train", tmp_path / "train.parquet", "--test", tmp_path / "test.parquet", "--folds", 0]
    options += ["--labels", tmp_path / "labels.parquet", "--output", tmp_path / "shortcuts.json"]
    call(script, *options)
    found = read_json(tmp_path / "shortcuts.json")
    assert set(found) == {"test", "out_of_fold"}
    for part, images in (("test", 50), ("out_of_fold", (train["fold"] == 0).sum())):
        assert sum(group["n"] for group in found[part]["subgroups"]["sex"].values()) == images
        assert len(found[part]["baselines"]) == 3 and set(found[part]["models"]) == {"cnn"}
        beyond = found[part]["models"]["cnn"]["auroc"]["value"] - found[part]["baselines"]["and image size"]["value"]
        assert found[part]["differences"]["cnn"]["difference"]["value"] == pytest.approx(beyond)


@pytest.mark.real_data
def test_published_predictions_fall_within_image_size_and_within_patient() -> None:
    sizes = pd.read_csv(real_data("isic2020-tables/train_folds_and_sizes.csv"))
    metadata = pd.read_csv(real_data("isic2020-tables/train.csv"))
    known = metadata.merge(sizes, on="image_name")
    names = {"image_name": "image", "age_approx": "age", "anatom_site_general_challenge": "site"}
    known = known.rename(columns=names).assign(source="isic2020")
    known = known[["image", "age", "sex", "site", "source", "width", "height"]]
    files = {name: f"published-predictions/{name}_test_predictions.csv" for name in ("CNN", "ResNeSt269")}
    tables = {
        name: read_predictions(real_data(file))
        .drop(columns="source")
        .merge(known, on="image", how="left", validate="1:1")
        for name, file in files.items()
    }
    found = find_shortcuts(tables, FAST)["models"]
    for name, whole, size, patient, first in (
        ("CNN", 0.852, 0.724, 0.703, 0.32), ("ResNeSt269", 0.929, 0.884, 0.856, 0.65),
    ):  # fmt: skip
        model = found[name]
        assert model["auroc"]["value"] == pytest.approx(whole, abs=5e-4)
        assert model["within_size"]["auroc"]["value"] == pytest.approx(size, abs=5e-4)
        assert model["within_patient"]["auroc"]["value"] == pytest.approx(patient, abs=5e-4)
        assert model["within_patient"]["first"]["value"] == pytest.approx(first, abs=5e-3)
        assert model["within_patient"]["chance"]["value"] == pytest.approx(0.20, abs=5e-3)
        assert model["within_patient"]["ranked"] == 62
        assert model["within_size"]["auroc"]["low"] < size < model["within_size"]["auroc"]["high"]


@pytest.mark.parametrize(
    ("missing", "names"),
    [
        ([], ["age, sex and site"]),
        (["age"], ["sex and site"]),
        (["age", "sex"], ["site"]),
        (["age", "sex", "site"], []),
    ],
)
def test_a_baseline_reads_the_columns_that_are_known(missing, names):
    generator = np.random.default_rng(3)
    rows = pd.DataFrame(
        {
            "image": [f"i{number}" for number in range(80)],
            "patient": [f"i{number}" for number in range(80)],
            "unit": "image",
            "sex": generator.choice(["male", "female"], 80),
            "age": generator.integers(20, 80, 80).astype(float),
            "site": generator.choice(["torso", "head/neck"], 80),
            "width": 0,
            "height": 0,
            "source": "mine",
            "target": np.arange(80) % 2,
            "fold": np.arange(80) // 2 % 2,
        }
    )
    for column in missing:
        rows[column] = np.nan if column == "age" else pd.Series(None, index=rows.index, dtype="str")
    train, test = rows[:60], rows[60:].drop(columns=["target", "fold"])
    found = baselines(train, test, [0, 1], "refit", seed=1)
    assert list(found) == names
