"""The comparison of a study's results before and after a refactoring, to the bit."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import golden

TABLE = "predict/cnn.parquet"
METRICS = "evaluate/metrics.json"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """The few results of a study, whose digests are in golden.json beside its folder."""
    folder = tmp_path / "results"
    for name in ("predict", "evaluate", "train/baseline_cnn-01234567"):
        (folder / name).mkdir(parents=True)
    pd.DataFrame({"image": ["a", "b"], "probability": [0.1, 0.2]}).to_parquet(folder / TABLE)
    (folder / METRICS).write_text(json.dumps({"cnn": {"auroc": {"value": 0.75}, "bins": [0.5, None]}}))
    command("record", folder)
    return folder


def command(action: str, folder: Path) -> None:
    golden.main([action, str(folder), str(folder.with_name("golden.json"))])


@pytest.fixture
def differences(results: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    """A comparison that finds differences: it fails, and its lines are returned."""

    def compare() -> list[str]:
        with pytest.raises(SystemExit, match=r"^1$"):
            command("compare", results)
        return capsys.readouterr().out.splitlines()

    return compare


def test_the_same_results_are_the_same(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command("compare", results)
    assert capsys.readouterr().out == "all 3 results are the same to the bit\n"


def test_one_changed_bit_of_a_table_is_found(results: Path, differences: Callable[[], list[str]]) -> None:
    table = pd.read_parquet(results / TABLE)
    table.loc[1, "probability"] = np.nextafter(0.2, 1)
    table.to_parquet(results / TABLE)
    assert differences() == [f"changed: {TABLE}"]


def test_one_changed_bit_of_a_metric_is_found(results: Path, differences: Callable[[], list[str]]) -> None:
    text = (results / METRICS).read_text()
    (results / METRICS).write_text(text.replace("0.75", repr(float(np.nextafter(0.75, 1)))))
    assert differences() == [f"changed: {METRICS}"]


def test_names_of_columns_and_keys_do_not_count(results: Path) -> None:
    pd.read_parquet(results / TABLE).rename(columns={"probability": "p"}).to_parquet(results / TABLE)
    (results / METRICS).write_text((results / METRICS).read_text().replace("auroc", "auc"))
    command("compare", results)


def test_another_name_of_a_training_is_found(results: Path, differences: Callable[[], list[str]]) -> None:
    (results / "train/baseline_cnn-01234567").rename(results / "train/baseline_cnn-89abcdef")
    assert differences() == ["changed: names in train/"]


def test_missing_and_new_tables_are_found(results: Path, differences: Callable[[], list[str]]) -> None:
    (results / TABLE).rename(results / "predict/other.parquet")
    assert differences() == [f"missing: {TABLE}", "new: predict/other.parquet"]


def test_a_study_that_is_not_finished_is_an_error(results: Path) -> None:
    (results / METRICS).unlink()
    with pytest.raises(SystemExit, match="run the study to its report first"):
        command("compare", results)
