"""Tuning: trials known from the study file alone, mistakes found before anything runs, the best by validation."""

import json
from itertools import product
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import select_recipe as script
from in_process import call
from melanoma.common.errors import InputError
from melanoma.common.files import read_yaml, write_csv, write_yaml
from melanoma.config.base import option_type
from melanoma.config.recipe import Recipe, Tune
from melanoma.config.search_space import best_trial, option_names, trial_recipes, trials, with_values
from melanoma.config.study import resolve

GRID = {"optimizer.learning_rate": [1e-4, 1e-3], "metadata.widths": [[64], [256], [64, 64]]}
RANGES = {
    "optimizer.learning_rate": {"log": [1e-5, 1e-3]},
    "schedule.gamma": {"range": [0.1, 0.9]},
    "epochs": {"range": [3, 6]},
    "metadata.widths": [[64], [256]],
}


def tune(**changes: Any) -> dict[str, Any]:
    return {"method": "grid", "trials": None, "seed": 1, "score": "auroc", "space": GRID} | changes


def drawn(**changes: Any) -> dict[str, dict[str, Any]]:
    return trials(Tune.model_validate(tune(**changes)))


def values_of(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return what a recipe has for each option of the grid."""
    rate, widths = recipe["optimizer"]["learning_rate"], recipe["metadata"]["widths"]
    return {"optimizer.learning_rate": rate, "metadata.widths": widths}


def study(tuning: dict[str, Any], **recipe: Any) -> dict[str, Any]:
    model = {"network": "baseline_cnn", "tune": tuning} | recipe
    return {
        "study": "s",
        "data": {"sources": [{"name": "a", "table": "t", "images": "i"}]},
        "models": {"m": model},
    }


def test_a_grid_is_every_combination_once():
    values = [tuple(map(json.dumps, trial.values())) for trial in drawn().values()]
    assert values == [tuple(map(json.dumps, each)) for each in product(*GRID.values())]


@pytest.mark.parametrize("method", ["random", "quasi_random"])
def test_the_same_seed_draws_the_same_trials_and_more_of_them_begin_with_the_same(method):
    few, many = (drawn(method=method, trials=count, space=RANGES) for count in (6, 20))
    assert few == drawn(method=method, trials=6, space=RANGES)
    assert list(many)[:6] == list(few) and len(many) == 20
    assert not set(few) & set(drawn(method=method, trials=6, seed=2, space=RANGES))


def test_a_value_added_to_a_grid_leaves_the_names_of_the_trials_before_it():
    longer = GRID | {"optimizer.learning_rate": [1e-5, *GRID["optimizer.learning_rate"]]}
    assert set(drawn()) < set(drawn(space=longer))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 99), st.sampled_from(["random", "quasi_random"]), st.integers(2, 40))
def test_what_is_drawn_lies_in_its_range_and_is_whole_where_the_option_is(seed, method, count):
    for trial in drawn(method=method, trials=count, seed=seed, space=RANGES).values():
        assert 1e-5 <= trial["optimizer.learning_rate"] <= 1e-3
        assert 0.1 <= trial["schedule.gamma"] <= 0.9
        assert trial["epochs"] in (3, 4, 5, 6) and isinstance(trial["epochs"], int)
        assert trial["metadata.widths"] in ([64], [256])


def test_a_quasi_random_sample_covers_each_range_evenly():
    """Of 16 points of a Sobol sequence, each 16th of every range has one."""
    points = [trial["schedule.gamma"] for trial in drawn(method="quasi_random", trials=16, space=RANGES).values()]
    assert sorted(int((point - 0.1) / 0.8 * 16) for point in points) == list(range(16))


def test_a_log_range_is_even_in_its_logarithm():
    rates = [each["optimizer.learning_rate"] for each in drawn(method="quasi_random", trials=64, space=RANGES).values()]
    assert sum(rate < 1e-4 for rate in rates) == 32


def test_each_trial_is_a_complete_recipe_with_its_values_and_nothing_to_tune():
    recipe = resolve(study(tune(), network="metadata_mlp")).models["m"]
    for name, trial in trial_recipes(recipe).items():
        assert values_of(trial.dump()) == drawn()[name]
        assert trial == with_values(recipe, drawn()[name]) and trial.tune is None
        assert resolve(study(None, **trial.dump())).models["m"] == trial


def test_an_option_within_a_list_is_named_by_its_place():
    groups = [{"match": "^image", "learning_rate": 1e-5}]
    space = {"optimizer.groups.0.learning_rate": [1e-5, 1e-4]}
    recipe = resolve(study(tune(space=space), optimizer={"groups": groups})).models["m"]
    rates = [trial.optimizer.groups[0].learning_rate for trial in trial_recipes(recipe).values()]
    assert rates == [1e-5, 1e-4]
    with pytest.raises(InputError, match=r"no such place as one of optimizer\.groups\.0\.learning_rate"):
        resolve(study(tune(space=space)))


@pytest.mark.parametrize(
    ("tuning", "message"),
    [
        (
            {"space": {"optimizer.learningrate": [1]}},
            r"no option 'optimizer.learningrate' .*did you mean 'optimizer.learning_rate'",
        ),
        (
            {"space": {"optimizer.learning_rate": [0.1, 0]}},
            r"space.optimizer.learning_rate: must be more than 0, got 0",
        ),
        ({"space": {"optimizer.learning_rate": ["1e-3"]}}, r"learning_rate: expected a number, got '1e-3'; YAML"),
        ({"space": {"schedule.name": ["stpe"]}}, r"space.schedule.name: 'stpe' is not allowed \(did you mean 'step'"),
        ({"space": {"schedule.gamma": {"rnge": [0, 1]}}}, r"unknown key 'rnge' \(did you mean 'range'\?\)"),
        ({"space": {"schedule.gamma": {"range": [0.1, 0.9]}}}, r"a grid needs a list of values"),
        (
            {"method": "random", "trials": 3, "space": {"schedule.gamma": {"range": [0.9, 0.1]}}},
            r"the range from 0.9 to 0.1 is empty",
        ),
        (
            {"method": "random", "trials": 3, "space": {"schedule.name": {"range": [0, 1]}}},
            r"only a number has a range",
        ),
        (
            {"method": "random", "trials": 3, "space": {"schedule.gamma": {"range": [0.5, 2]}}},
            r"space.schedule.gamma: must be at most 1, got 2.0",
        ),
        ({"method": "random", "space": {"epochs": [3, 4]}}, r"trials: method random needs a number of trials"),
        ({"trials": 3, "space": {"epochs": [3, 4]}}, r"trials: a grid has all combinations"),
        ({"space": {"epochs": list(range(1, 33)), "seeds": [[1, 2]]}}, r"space.seeds: is not tuned"),
        ({"space": {"network": ["resnest50"]}}, r"space.network: is not tuned; give each value a model"),
        ({"space": {"epochs": list(range(1, 41)), "batch_size": list(range(3, 33))}}, r"the grid has 1200 comb"),
        (
            {"space": {"schedule.warmup_epochs": [0, 50]}},
            r"50 epochs of warm-up leave none of 11 .*\(in the trial \{\"schedule.warmup_epochs\": 50\}\)",
        ),
        ({"space": {}}, r"tune.space: must have a length of at least 1, got \{\}"),
    ],
)
def test_a_mistake_in_a_search_space_is_found_before_anything_runs(tuning, message):
    with pytest.raises(InputError, match=message):
        resolve(study(tuning))


@pytest.mark.parametrize("network", ["random_forest", "logistic_regression"])
def test_only_networks_are_tuned(network):
    with pytest.raises(InputError, match=r"models.m.tune: only for networks that are trained by epochs"):
        resolve(study(tune(), network=network))


def test_every_option_that_can_be_tuned_has_a_schema():
    names = option_names()
    assert {"optimizer.learning_rate", "metadata.widths", "augmentation.affine.rotate", "loss.gamma"} <= set(names)
    assert all(option_type(Recipe, name) is not None for name in names)
    assert not [name for name in names if name.startswith(("resources", "tune", "seed", "tta", "network"))]


@given(st.dictionaries(st.text("ab", min_size=1), st.floats(0, 1) | st.just(float("nan")), min_size=1))
def test_the_best_trial_is_the_first_with_the_best_score_and_nan_is_the_worst(scores):
    known = {name: value for name, value in scores.items() if value == value}
    if known:
        assert scores[best_trial(scores, "auroc")] == max(known.values())
        assert scores[best_trial(scores, "loss")] == min(known.values())
    else:
        assert best_trial(scores, "auroc") == next(iter(scores))


def test_the_script_writes_the_table_and_the_recipe_of_the_best_trial(tmp_path):
    """The score is that of the epoch which the recipe chooses, by loss here, not the best of all epochs."""
    write_yaml(tmp_path / "tune.yaml", tune())
    joint = Recipe(network="baseline_cnn", head="image_and_metadata", monitor="loss")
    for number, (name, values) in enumerate(drawn().items()):
        folder = tmp_path / f"trial-{name}"
        write_yaml(folder / "recipe.yaml", with_values(joint, values).dump() | {"seed": number})
        rows = {
            "epoch": [1, 2],
            "validation_loss": [0.4, 0.5],
            "validation_auroc": [0.6 + 0.01 * (number == 3), 0.9 - 0.1 * number],
            "validation_average_precision": [0.1, 0.2],
        }
        write_csv(folder / "history.csv", pd.DataFrame(rows))
    files = {"settings": "tune.yaml", "trials": "", "recipe": "recipe.yaml", "table": "trials.csv"}
    options = [f"--{option}={tmp_path / file}" for option, file in files.items()]
    call(script, *options)
    table = pd.read_csv(tmp_path / "trials.csv")
    assert len(table) == 6 and table["chosen"].tolist() == [True] + [False] * 5
    assert table["validation_auroc"].iloc[0] == 0.61 and set(table["epoch"]) == {1}
    best = read_yaml(tmp_path / "recipe.yaml")
    assert best["seed"] == 3 and values_of(best) == list(drawn().values())[3]
