"""What follows from a study: what decides a training, and the configuration in files that are short enough."""

import json

import pytest
import yaml

from melanoma.config.facts import pieces, training_name, training_recipe
from melanoma.config.study import resolve
from melanoma.report.sources import read_study
from minimal_config import MINIMAL, with_


def test_a_number_with_a_point_and_without_gives_the_same_training():
    recipes = [resolve(with_("models.cnn.optimizer", {"weight_decay": zero})).models["cnn"] for zero in (0, 0.0)]
    assert training_name(recipes[0]) == training_name(recipes[1])


def test_an_option_that_nothing_reads_makes_no_other_training():
    momentum = [{"name": name, "momentum": value} for name in ("adam", "sgd") for value in (0.5, 0.9)]
    names = [training_name(resolve(with_("models.cnn.optimizer", each)).models["cnn"]) for each in momentum]
    assert names[0] == names[1] and names[2] != names[3]


def test_memory_threads_and_run_time_are_no_part_of_what_training_reads():
    recipes = [
        training_recipe(resolve(with_("models.cnn.resources", resources)).models["cnn"])
        for resources in ({"mem_mb": 1000, "threads": 1}, {"mem_mb": 9000, "threads": 4, "runtime": 5})
    ]
    assert recipes[0] == recipes[1]


def test_another_frame_is_another_training_because_validation_has_it_and_other_views_are_not():
    def name(**options):
        return training_name(resolve(with_("models.cnn", {"network": "baseline_cnn", **options})).models["cnn"])

    pooled = {"baseline_cnn": {"pooling": "average"}}
    small = pooled | {"input_size": 416}
    framed = [name(**small, tta={"frame": frame}) for frame in ("scaled", "full_size", "center_crop")]
    assert len(set(framed)) == 3 and framed[0] == name(**small) == name(**small, tta={"name": "flips"})
    assert name(**pooled, tta={"frame": "full_size"}) == name(**pooled), "all frames show the same"


def test_a_recipe_holds_nothing_of_other_networks():
    models = {name: {"network": name} for name in ("logistic_regression", "random_forest", "metadata_mlp")}
    recipes = {name: training_recipe(recipe) for name, recipe in resolve(MINIMAL | {"models": models}).models.items()}
    assert set(recipes["logistic_regression"]) == {"network", "seed", "inputs"}
    assert not {"linear_probe", "random_forest", "inputs"} & set(recipes["metadata_mlp"])
    assert set(recipes["random_forest"]) == {"network", "seed", "inputs", "random_forest"}
    assert not {"baseline_cnn", "augmentation", "random_forest", "gradient_boosting", "inputs"} & set(
        recipes["metadata_mlp"]
    )


@pytest.mark.parametrize("most", [1, 500, 5_000, 10**6])
def test_a_configuration_in_pieces_is_the_same_joined(most, tmp_path):
    """No piece is larger than was asked, but for one item that is by itself."""
    config = resolve(MINIMAL | {"fusions": {"f": {"members": ["cnn", "mlp"]}}})
    parts = pieces(config, most)
    for number, part in enumerate(parts):
        (tmp_path / f"{number}.yaml").write_text(yaml.safe_dump(part))
        if len(json.dumps(part)) > most:
            ((section, value),) = part.items()
            assert section not in ("models", "fusions", "fetch") or len(value) == 1
    assert read_study([tmp_path / f"{number}.yaml" for number in range(len(parts))]) == config
    assert (len(parts) == 1) == (most == 10**6)
