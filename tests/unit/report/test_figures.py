"""Figures show what they say, and are the same bytes for the same data."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import plot
import tiny
from finished_study import draw, history, write_study
from melanoma.common.errors import InputError
from melanoma.common.files import read_json, write_text
from melanoma.report import figures

PARTS = {
    "evaluation": {"roc.svg", "precision_recall.svg", "decision.svg", "reliability.svg"},
    "training": {"learning_curves.svg", "schedules.svg", "sampling.svg"},
    "data": {"class_balance.svg", "samples.png"},
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.mark.parametrize("part", PARTS)
def test_the_same_data_draw_the_same_bytes(study: Path, tmp_path: Path, part: str) -> None:
    drawn = []
    for folder in (tmp_path / "first", tmp_path / "second"):
        draw(study, part, folder)
        files = [path for path in folder.rglob("*") if path.is_file()]
        drawn.append({path.relative_to(folder).as_posix(): path.read_bytes() for path in files})
    assert drawn[0] == drawn[1] and set(drawn[0]) == PARTS[part]
    for name, content in drawn[0].items():
        assert content.startswith(b"\x89PNG" if name.endswith("png") else b"<?xml")
        assert b"<dc:date>" not in content


def test_a_figure_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.svg or \.png"):
        figures.save(figures.plot_schedules({"cnn": tiny.recipe()}), tmp_path / "schedules.gif")


def test_the_roc_legend_holds_auroc_with_its_interval(study: Path) -> None:
    metrics = pd.read_json(study / "metrics.json").to_dict()
    made = figures.roc(pd.read_json(study / "curves.json").to_dict(), metrics)
    labels = [text.get_text() for text in made.legends[0].get_texts()]
    auroc = metrics["cnn"]["auroc"]
    assert labels[0] == f"cnn  {auroc['value']:.4f} [{auroc['low']:.4f}, {auroc['high']:.4f}]"
    assert labels[-1] == "chance  0.5000"


@pytest.mark.parametrize(("choose_by", "epoch"), [("loss", 4), ("auroc", 2)])
def test_the_chosen_epoch_is_marked_by_what_the_recipe_chooses_by(choose_by: str, epoch: int) -> None:
    table = history(True)
    table["validation_loss"] = [5.0, 4, 3, 2, 9]
    table["validation_auroc"] = [0.5, 0.9, 0.6, 0.7, 0.8]
    made = figures.learning_curves({"cnn": {"fold-0": table}}, {"cnn": choose_by})
    marks = [line.get_xdata()[0] for line in made.axes[0].lines if line.get_marker() == "o"]
    assert marks == [epoch]


def test_a_history_without_its_columns_is_refused(study: Path, tmp_path: Path) -> None:
    write_text(tmp_path / "history.csv", "epoch,loss\n1,0.5\n")
    with pytest.raises(InputError, match="missing train_loss, validation_loss"):
        plot.read_histories([f"cnn:fold-0={tmp_path / 'history.csv'}"])


def test_schedules_show_each_models_rates_over_its_own_epochs() -> None:
    groups = [{"match": "^image", "learning_rate": 3e-5}, {"match": "bias", "weight_decay": 0}]
    recipes = {
        "backbone": tiny.recipe(
            epochs=4, optimizer={"learning_rate": 1e-3, "groups": groups}, schedule={"name": "step", "gamma": 0.1}
        ),
        "plain": tiny.recipe(epochs=9, optimizer={"learning_rate": 0.1}, schedule={"name": "constant"}),
    }
    backbone, plain = figures.plot_schedules(recipes).axes
    assert [line.get_label() for line in backbone.lines] == ["^image", "all others"]
    epochs, rates = backbone.lines[1].get_data()
    assert rates[epochs < 1] == pytest.approx(1e-3) and rates[(epochs >= 2) & (epochs < 3)] == pytest.approx(1e-5)
    assert epochs.max() < 4 and plain.get_xlim() == (0, 9) and backbone.get_ylim() == plain.get_ylim()
    assert plain.get_legend() is None and backbone.get_legend() is not None


@pytest.mark.parametrize("count", [1, 2, 3, 7, 12])
def test_there_is_a_panel_for_each_model_and_no_empty_one(count: int) -> None:
    recipes = {f"model_{number}": tiny.recipe() for number in range(count)}
    panels = figures.plot_schedules(recipes).axes
    assert [axes.get_title(loc="left") for axes in panels] == list(recipes)


def test_balance_counts_images_and_patients_of_each_fold_then_what_only_trains_then_test() -> None:
    train = pd.DataFrame(
        {"patient": ["p", "p", "q", "r", "s"], "fold": [0, 0, 0, 1, -1], "target": [0, 1, 0, 0, 1]},
    )
    test = {"images": 7, "melanomas": 2, "patients": 5, "melanoma_patients": 1}
    counts = figures.balance(train, test)
    assert set(counts.index[:-1]) == {"fold 0", "fold 1", "extra_train"} and counts.index[-1] == "test"
    assert counts.loc["fold 0"].tolist() == [2, 1, 1, 1]
    assert counts.loc["fold 1"].tolist() == [1, 0, 1, 0]
    assert counts.loc["extra_train"].tolist() == [0, 1, 0, 1]
    assert counts.loc["test"].tolist() == [5, 2, 4, 1]


def test_samples_are_drawn_from_their_class_by_seed() -> None:
    train = pd.DataFrame({"row": np.arange(100, 200), "target": [0, 1] * 50})
    chosen = figures.choose_samples(train, 1, 16, seed=1)
    assert len(set(chosen)) == 16
    assert all(row % 2 == 1 for row in chosen)
    assert chosen == figures.choose_samples(train.sample(frac=1, random_state=0), 1, 16, seed=1)
    assert chosen != figures.choose_samples(train, 1, 16, seed=2)
    assert len(figures.choose_samples(train, 0, 1000, seed=1)) == 50


def test_calibration_is_drawn_only_where_there_is_one(study: Path) -> None:
    entries = read_json(study / "calibration.json")
    assert [axes.get_title("left") for axes in figures.reliability(entries, "cnn").axes] == ["Raw", "Calibrated"]
    raw = {name: {"reliability": {"raw": entry["reliability"]["raw"]}} for name, entry in entries.items()}
    assert [axes.get_title("left") for axes in figures.reliability(raw, "cnn").axes] == ["Raw"]


def test_bars_are_the_intervals_of_the_selected_model_alone(study: Path) -> None:
    entries, curves, metrics = (read_json(study / f"{name}.json") for name in ("calibration", "curves", "metrics"))
    known = [made for made in metrics["cnn"]["calibrated"]["net_benefit"].values() if made["low"] is not None]
    (bars,) = figures.decision(curves, metrics, "cnn").axes[0].collections
    assert [segment[:, 1].tolist() for segment in bars.get_segments()] == [
        [made["low"], made["high"]] for made in known
    ]
    assert len(entries) > 1 and [len(axes.collections) for axes in figures.reliability(entries, "cnn").axes] == [1, 1]
