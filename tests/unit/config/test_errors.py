"""Settings files of the workflow are read as their models, and what is wrong in one is told with its name."""

import pytest

from melanoma.common.errors import InputError
from melanoma.common.files import write_yaml
from melanoma.config.data import Images
from melanoma.config.errors import read_settings
from melanoma.config.facts import training_recipe
from melanoma.config.recipe import Recipe, read_recipe


def test_a_settings_file_gives_its_section_with_defaults(tmp_path):
    write_yaml(tmp_path / "images.yaml", {"size": 32})
    assert read_settings(Images, tmp_path / "images.yaml") == Images(size=32)


def test_the_recipe_of_a_training_is_read_again(tmp_path):
    recipe = Recipe(network="metadata_mlp", epochs=3)
    write_yaml(tmp_path / "recipe.yaml", training_recipe(recipe))
    assert read_recipe(tmp_path / "recipe.yaml") == recipe


def test_all_that_is_wrong_in_a_file_is_named_with_the_file(tmp_path):
    write_yaml(tmp_path / "images.yaml", {"sise": 32, "shards": 0})
    with pytest.raises(InputError, match=r"(?s)images.yaml holds no valid.*shards: must be.*sise: unknown key"):
        read_settings(Images, tmp_path / "images.yaml")
