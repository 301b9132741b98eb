"""Figures of training show what the recipes say."""

from pathlib import Path
from typing import Any

import pytest

import plot
from finished_study import history
from melanoma.common.errors import InputError
from melanoma.common.files import write_text
from melanoma.config.recipe import Recipe
from melanoma.figures.training import learning_curves, schedules


def recipe(**options: Any) -> Recipe:
    return Recipe.model_validate({"network": "baseline_cnn", **options})


@pytest.mark.parametrize(("monitor", "epoch"), [("loss", 4), ("auroc", 2)])
def test_the_best_epoch_by_the_monitor_is_marked(monitor: str, epoch: int) -> None:
    table = history(True)
    table["validation_loss"] = [5.0, 4, 3, 2, 9]
    table["validation_auroc"] = [0.5, 0.9, 0.6, 0.7, 0.8]
    figure = learning_curves({"cnn": {"fold-0": table}}, {"cnn": monitor})
    marks = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert marks == [epoch]


def test_the_auroc_of_training_and_validation_are_both_drawn() -> None:
    figure = learning_curves({"cnn": {"fold-0": history(True), "refit": history(False)}}, {"cnn": "auroc"})
    drawn = [line.get_ydata() for line in figure.axes[1].lines if len(line.get_xdata()) == 5]
    for column, runs in (("train_auroc", 2), ("validation_auroc", 1)):
        assert sum(list(y) == history(True)[column].tolist() for y in drawn) == runs


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("epoch,loss\n1,0.5\n", "missing columns: train_loss, train_auroc, validation_loss"),
        ("epoch,train_loss,train_auroc,validation_loss,validation_auroc\n", "has no epoch"),
    ],
)
def test_a_file_that_is_no_history_is_an_error(tmp_path: Path, text: str, error: str) -> None:
    write_text(tmp_path / "history.csv", text)
    with pytest.raises(InputError, match=error):
        plot.read_histories([f"cnn:fold-0={tmp_path / 'history.csv'}"])


def test_schedules_show_each_learning_rate_of_a_model_over_its_epochs() -> None:
    groups = [{"match": "^image", "learning_rate": 3e-5}, {"match": "bias", "weight_decay": 0}]
    recipes = {
        "backbone": {
            "epochs": 4,
            "optimizer": {"learning_rate": 1e-3, "groups": groups},
            "schedule": {"name": "step", "gamma": 0.1},
        },
        "plain": {"epochs": 9, "optimizer": {"learning_rate": 0.1}, "schedule": {"name": "constant"}},
    }
    backbone, plain = schedules({name: recipe(**options) for name, options in recipes.items()}).axes
    assert [line.get_label() for line in backbone.lines] == ["^image", "all others"]
    epochs, rates = backbone.lines[1].get_data()
    assert rates[epochs < 1] == pytest.approx(1e-3) and rates[(epochs >= 2) & (epochs < 3)] == pytest.approx(1e-5)
    assert epochs.max() < 4 and plain.get_xlim() == (0, 9) and backbone.get_ylim() == plain.get_ylim()
    assert plain.get_legend() is None and backbone.get_legend() is not None


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_schedules_have_a_panel_for_each_model_and_no_empty_one(count: int) -> None:
    recipes = {f"model_{number}": recipe() for number in range(count)}
    assert [axes.get_title(loc="left") for axes in schedules(recipes).axes] == list(recipes)


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("cnn", ["cnn"]),
        ("swin_tiny_patch4_window7_224_and_mlp_mix", ["swin_tiny_patch4_window7_", "224_and_mlp_mix"]),
        ("efficientnetv2smallwithoutanyunderscores", ["efficientnetv2smallwithout", "anyunderscores"]),
    ],
)
def test_a_long_name_above_a_panel_is_broken_after_an_underscore(name: str, lines: list[str]) -> None:
    (panel,) = schedules({name: recipe()}).axes
    assert panel.get_title(loc="left").splitlines() == lines
