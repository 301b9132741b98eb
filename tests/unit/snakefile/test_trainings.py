"""Which trainings a study has, and which runs, trials and recipes they have."""

import pytest
from snakemake.iocontainers import Wildcards

from melanoma.config.study import resolve
from melanoma.snakefile.trainings import Trainings, seed_option

SPACE = {"method": "grid", "space": {"dropout": [0.1, 0.2]}}
TUNED = {"network": "metadata_mlp", "epochs": 3, "tune": SPACE}


def trainings(**changes: dict) -> Trainings:
    models = {
        "mlp": {"network": "metadata_mlp"},
        "flipped": {"network": "metadata_mlp", "resources": {"mem_mb": 9000}},
        "tuned": TUNED,
        "repeated": {"network": "metadata_mlp", "epochs": 2, "seeds": [1, 2]},
        "logistic": {"network": "logistic_regression"},
    }
    study = {
        "study": "s",
        "data": {"sources": [{"name": "clinic", "table": "t.csv", "images": None}]},
        "split": {"folds": 3, "run_folds": [0, 2]},
        "models": models,
    }
    return Trainings.from_study(resolve(study | changes))


def test_models_with_equal_training_options_share_a_training():
    study = trainings()
    assert study.names["mlp"] == study.names["flipped"]
    assert study.recipes[study.names["mlp"]] == study.models["mlp"]


def test_a_model_has_a_run_for_each_fold_and_a_refit_where_it_predicts_the_test():
    assert trainings(predict={"test": "refit"}).runs("mlp") == ["fold-0", "fold-2", "refit"]
    assert trainings(predict={"test": "fold_mean"}).runs("mlp") == ["fold-0", "fold-2"]


def test_each_seed_has_runs_of_its_own():
    runs = trainings(predict={"test": "refit"}).runs("repeated")
    assert runs == [f"{run}-seed-{seed}" for run in ("fold-0", "fold-2", "refit") for seed in (1, 2)]


def test_a_refit_takes_its_epochs_from_the_folds_of_its_own_seed():
    study = trainings()
    assert study.folds_of_refit("refit") == ["fold-0", "fold-2"]
    assert study.folds_of_refit("refit-seed-2") == ["fold-0-seed-2", "fold-2-seed-2"]


@pytest.mark.parametrize(
    ("run", "option"), [("fold-0-seed-7", "--seed 7"), ("refit-seed-7", "--seed 7"), ("fold-0", "")]
)
def test_a_run_trains_with_the_seed_in_its_name(run, option):
    assert seed_option(run) == option


def test_the_trials_of_a_tuned_training_have_its_name_without_the_search_space():
    study = trainings()
    name = study.names["tuned"]
    assert set(study.trials) == {name}
    dropouts = {study.trial_recipe(study.untuned[name], trial).dropout for trial in study.trials[name]}
    assert dropouts == {0.1, 0.2}
    assert study.untuned[name] != name
    wider = trainings(models={"tuned": TUNED | {"tune": SPACE | {"space": {"dropout": [0.3]}}}})
    assert wider.untuned[wider.names["tuned"]] == study.untuned[name]


def test_the_recipe_of_a_job_is_that_of_its_model_its_training_or_its_trial():
    study = trainings()
    name = study.names["tuned"]
    for wildcards in ({"model": "tuned"}, {"training": name, "run": "fold-0"}, {"untuned": study.untuned[name]}):
        assert study.recipe_of_job(Wildcards(fromdict=wildcards)) == study.models["tuned"]


def test_models_of_frozen_features_share_the_features_of_a_network():
    probe = {"network": "linear_probe", "linear_probe": {"network": "resnest50"}}
    models = {
        "image": probe,
        "both": probe | {"head": "image_and_metadata", "seed": 2, "resources": {"gpus": 1}},
        "neighbors": {"network": "nearest_neighbors", "nearest_neighbors": {"network": "resnest50", "n_neighbors": 9}},
        "small": probe | {"input_size": 224},
    }
    study = trainings(models=models, data={"sources": [{"name": "clinic", "table": "t.csv", "images": "jpeg"}]})
    (large, small) = sorted(study.frozen_networks, key=lambda name: study.frozen_networks[name].input_size or 512)[::-1]
    assert large.startswith("resnest50-") and study.frozen_networks[small].input_size == 224
    assert study.recipe_of_job(Wildcards(fromdict={"embedding": large})).network == "resnest50"
    assert study.frozen_networks[large].weights_file == "data/weights/resnest50-528c19ca.pth"
