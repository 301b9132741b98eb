"""The features of a store by a frozen network: of every image, the same for all arrangements of the store."""

import numpy as np
import pytest
import torch

import small_store
from melanoma.common.errors import InputError
from melanoma.compute.distributed import Processes
from melanoma.config.recipe import Recipe
from melanoma.models.classifier import build_network
from melanoma.models.embeddings import Embeddings
from melanoma.training.embedder import embed

PROBE = {"network": "linear_probe", "linear_probe": {"network": "timm/resnet10t"}, "input_size": 32}


def frozen(**backbone) -> Recipe:
    recipe = Recipe.model_validate(PROBE | {"backbone": backbone}).frozen_network
    assert recipe is not None
    return recipe


def embedded(store, recipe) -> Embeddings:
    return embed(recipe, store, torch.device("cpu"), 0, Processes())


@pytest.fixture
def table(tmp_path):
    return small_store.catalog(tmp_path)


def test_every_image_has_features_by_its_name(tmp_path, table):
    features = embedded(small_store.build(tmp_path, table, 1), frozen(pretrained=False))
    assert features.images == [name for name in table["image"] if name != "ISIC_04"]
    assert features.values.shape == (10, 512) and features.values.dtype == np.float32
    assert len(np.unique(features.values, axis=0)) == 10
    assert features.network["recipe"]["network"] == "timm/resnet10t"
    assert features.network["images"]["size"] == small_store.SIZE and features.network["weights_sha256"] == ""


def test_the_number_of_shards_changes_no_bit(tmp_path, table):
    one, three = (
        embedded(small_store.build(tmp_path / str(shards), table, shards), frozen(pretrained=False))
        for shards in (1, 3)
    )
    np.testing.assert_array_equal(one.values, three.values)
    assert one.network == three.network


def test_a_weights_file_decides_the_features_and_is_named_by_its_hash(tmp_path, table):
    store = small_store.build(tmp_path, table, 1)
    found = []
    for number in range(2):
        torch.manual_seed(number)
        weights = tmp_path / f"weights{number}.pth"
        image = build_network(frozen(pretrained=False), 32, 0).image
        torch.save(image.network.state_dict(), weights)
        found.append(embedded(store, frozen(weights=str(weights))))
    assert not np.allclose(found[0].values, found[1].values)
    assert len({len(each.network["weights_sha256"]) for each in found}) == 1
    assert found[0].network["weights_sha256"] != found[1].network["weights_sha256"]


def test_a_missing_weights_file_is_an_error(tmp_path, table):
    with pytest.raises(InputError, match="pretrained weights of timm/resnet10t do not exist"):
        embedded(small_store.build(tmp_path, table, 1), frozen(weights=str(tmp_path / "none.pth")))
