"""Two finished studies are compared on the test images that both have, and every option that differs is named."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import compare
from in_process import call
from melanoma.common.errors import InputError
from melanoma.common.files import write_json, write_parquet, write_yaml
from melanoma.comparison.finished import Finished, read_finished
from melanoma.comparison.options import Difference, differences
from melanoma.comparison.pairs import model_pairs
from melanoma.config.study import resolve
from melanoma.predictions import test_access_log
from melanoma.predictions.test_access_log import Access, accesses, append, read_access_log
from minimal_config import MINIMAL, with_

IMAGES = 120


def table(seed: int, test: range) -> pd.DataFrame:
    """Return predictions of 120 images of 40 patients, of which those in `test` are test."""
    number = np.arange(IMAGES)
    target = (number % 5 == 0).astype(np.int8)
    score = target + np.random.default_rng(seed).normal(size=IMAGES)
    return pd.DataFrame(
        {
            "image": [f"ISIC_{n:07d}" for n in number],
            "patient": [f"IP_{n // 3:02d}" for n in number],
            "part": np.where(np.isin(number, test), "test", "train"),
            "fold": np.where(np.isin(number, test), -1, number // 3 % 2).astype(np.int8),
            "target": target,
            "probability": 1 / (1 + np.exp(-score)),
        }
    )


def write(folder: Path, name: str, models: dict[str, int], test: range = range(60), **options: object) -> Path:
    """Write the results of a finished study; `models` are the seeds of their predictions, the first is selected."""
    config = MINIMAL | {"study": name, "evaluate": {"replicates": 200}} | options
    write_yaml(folder / "config/study.yaml", resolve(config).dump())
    tables = {model: table(seed, test) for model, seed in models.items()}
    rows = next(iter(tables.values()))
    for model, predictions in tables.items():
        write_parquet(folder / f"predict/{model}.parquet", predictions.drop(columns="target"))
    labels = rows.loc[rows["part"] == "test", ["image", "target"]]
    write_parquet(folder / "split/test_labels.parquet", labels)
    write_parquet(folder / "split/split.parquet", rows[["image", "part", "fold"]])
    write_json(folder / "evaluate/metrics.json", {model: {} for model in models})
    write_json(folder / "fuse/selected_model.json", {"selected_model": next(iter(models))})
    return folder


def read(folder: Path, *args: object, **options: object) -> Finished:
    return read_finished(write(folder, *args, **options))


def test_the_selected_models_and_those_of_one_name_are_compared_on_common_test_images(tmp_path):
    first = read(tmp_path / "a", "a", {"cnn": 1, "mlp": 2}, range(60))
    second = read(tmp_path / "b", "b", {"joint": 3, "mlp": 4}, range(30, 90))
    pairs = model_pairs(first, second)
    assert [(pair.label, pair.models) for pair in pairs] == [
        ("selected models", ("cnn", "joint")),
        ("mlp", ("mlp", "mlp")),
    ]
    target = table(0, range(0))["target"][30:60]
    expected = [roc_auc_score(target, table(seed, range(0))["probability"][30:60]) for seed in (1, 3)]
    assert [bounds["value"] for bounds in pairs[0].auroc] == pytest.approx(expected)
    difference = pairs[0].test["difference"]
    assert difference["value"] == pytest.approx(expected[0] - expected[1])
    assert difference["low"] < difference["value"] < difference["high"]


def test_a_study_differs_from_itself_in_nothing(tmp_path, capsys):
    folder = write(tmp_path / "a", "a", {"cnn": 1})
    call(compare, folder, folder)
    printed = capsys.readouterr().out
    assert "0.000 [0.000, 0.000]" in printed and printed.endswith("Options that differ (first | second):\nnone\n")


def test_the_page_has_the_pairs_the_splits_and_the_options_and_no_identifier(tmp_path, capsys):
    first = write(tmp_path / "a", "a", {"cnn": 1}, range(60))
    second = write(tmp_path / "b", "b", {"cnn": 2}, range(30, 90), split={"folds": 3})
    call(compare, first, second, "--output", tmp_path / "page.html")
    printed, page = capsys.readouterr().out, (tmp_path / "page.html").read_text()
    assert "Common test images: 30 of 10 patients, 6 melanomas. The tests are not the same: 30 test images" in printed
    assert "split.folds: 5 | 3" in printed
    assert "test of the first in train of the second" in page
    assert "ISIC_" not in page and "IP_" not in page


def test_the_test_set_access_log_of_both_studies_gets_a_line(tmp_path):
    for name in "ab":
        read(tmp_path / name, name, {"cnn": 1})
        (line,) = (tmp_path / name / "test_access_log.jsonl").read_text().splitlines()
        assert '"reader": "compare"' in line and '"models": ["cnn"]' in line


def test_a_comparison_counts_as_an_access_but_not_as_another_configuration(tmp_path):
    log = tmp_path / "test_access_log.jsonl"
    access = {"test": test_access_log.test_digest(table(0, range(0))[:60]), "models": ["cnn"]}
    append(log, Access(reader="evaluate", configuration="c1", **access))
    read(tmp_path, "a", {"cnn": 1}, range(60))
    assert accesses(read_access_log(log), access["test"]) == {"accesses": 2, "configurations": 1}


def test_studies_without_a_common_test_image_say_how_to_share_a_split(tmp_path):
    first = read(tmp_path / "a", "a", {"cnn": 1}, range(60))
    second = read(tmp_path / "b", "b", {"cnn": 1}, range(60, 120))
    with pytest.raises(InputError, match=r"0 test images in common.*method: saved, file: .*a/split/split.parquet"):
        model_pairs(first, second)


def test_an_image_with_two_labels_is_named(tmp_path):
    first, second = read(tmp_path / "a", "a", {"cnn": 1}), read(tmp_path / "b", "b", {"cnn": 1})
    second.test["cnn"].loc[second.test["cnn"]["image"] == "ISIC_0000001", "target"] = 1
    with pytest.raises(InputError, match=r"different labels for 1 test images. The first is ISIC_0000001"):
        model_pairs(first, second)


def test_an_unfinished_study_is_refused_with_what_it_lacks(tmp_path):
    folder = write(tmp_path / "a", "a", {"cnn": 1})
    (folder / "fuse/selected_model.json").unlink()
    with pytest.raises(InputError, match=r"no fuse/selected_model.json; expected the results of a finished study"):
        read_finished(folder)


def test_a_model_that_one_study_has_is_one_difference():
    first, second = resolve(MINIMAL).dump(), resolve(with_("split.seed", 2)).dump()
    del second["models"]["cnn"]
    found = differences(first, second)
    assert Difference("split.seed", "1", "2") in found
    assert [each.option for each in found if each.option.startswith("models.")] == ["models.cnn"]
