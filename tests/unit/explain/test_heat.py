"""Maps of heat: they show what decides the class, for every kind of image network, and depend on the weights."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

import tiny
from melanoma.augment.tta import NO_TTA
from melanoma.compute.distributed import Processes
from melanoma.config.recipe import Recipe
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.explain.heat import GRAD_CAM, GRADIENTS, SIDE, Heat, explain
from melanoma.models.classifier import build_network
from melanoma.training.loader import Examples, PredictionBatches, to_device
from melanoma.training.predictor import Predictor
from melanoma.training.prefetch import Prefetch

INPUT, COUNT, STEPS = 64, 32, 40
SPOT, NEAR = 12, 4
CNN = {"channels": [8, 16, 16], "kernels": [3, 3, 3], "padding": "same", "pooling": "average", "hidden": []}
TRAINED = {
    "cnn": ({"baseline_cnn": CNN}, GRAD_CAM),
    "joint": ({"baseline_cnn": CNN, "head": "image_and_metadata"}, GRAD_CAM),
    "transformer": ({"network": "timm/test_vit", "backbone": {"pretrained": False}}, GRADIENTS),
}


@dataclass
class Pictures:
    """Images in memory, as a store gives them."""

    images: np.ndarray
    size: int = INPUT

    def read(self, rows):
        return self.images[np.asarray(rows)]


def planted(count: int = COUNT, seed: int = 1) -> tuple[Examples, np.ndarray]:
    """Return noise with a bright spot in each image, red in melanomas and green in others; and their corners, (n, 2).

    Every image also has a blue spot, which is as bright and says nothing.
    """
    draw = np.random.default_rng(seed)
    images = draw.integers(60, 100, (count, INPUT, INPUT, 3)).astype(np.uint8)
    rows = tiny.table(count).assign(target=np.arange(count) % 2)
    limits = (INPUT - SPOT, INPUT // 2 - SPOT)
    left, right = (np.stack([draw.integers(0, limit, count) for limit in limits], axis=1) for _ in range(2))
    right[:, 1] += INPUT // 2
    for image, target, *corners in zip(images, rows["target"], left, right, strict=True):
        for (y, x), channel in zip(corners, (0 if target else 1, 2), strict=True):
            image[y : y + SPOT, x : x + SPOT, channel] = 250
    examples = Examples.of(rows, MetadataEncoder.fit(rows), None, INPUT)
    return replace(examples, store=Pictures(images)), left


def predictor(examples: Examples, seed: int = 0, **changes) -> Predictor:
    recipe: Recipe = tiny.recipe(**changes)
    torch.manual_seed(seed)
    network = build_network(recipe, INPUT, examples.metadata.shape[1])
    return Predictor(network, recipe, torch.device("cpu"), Prefetch(0, pinned=False), Processes())


def train(trained: Predictor, examples: Examples) -> None:
    batches = PredictionBatches(examples, 16, NO_TTA, trained.recipe)
    optimizer = torch.optim.Adam(trained.network.parameters(), 3e-3)
    trained.network.train()
    for step in range(STEPS):
        batch = to_device(batches[step % len(batches)], trained.device)
        logits = trained.network(batch.images, batch.metadata)[:, 0]
        optimizer.zero_grad()
        binary_cross_entropy_with_logits(logits, batch.targets).backward()
        optimizer.step()


def hits(heat: Heat, examples: Examples, corners: np.ndarray) -> float:
    """Return the share of the melanomas whose map is largest in the red spot, or a position of the map beside it."""
    melanomas = np.flatnonzero(examples.targets)
    peaks = [np.unravel_index(heat.maps[number].argmax(), (SIDE, SIDE)) for number in melanomas]
    places = (np.array(peaks) + 0.5) * INPUT / SIDE - corners[melanomas]
    return float(((places >= -NEAR) & (places < SPOT + NEAR)).all(axis=1).mean())


@pytest.mark.parametrize("name", TRAINED)
def test_a_spot_that_decides_the_class_is_where_the_map_is_largest(name):
    changes, method = TRAINED[name]
    examples, _ = planted()
    others, corners = planted(16, seed=2)
    trained = predictor(examples, **changes)
    before = explain(trained, others)
    train(trained, examples)
    after = explain(trained, others)
    assert after.method == method and after.maps.shape == (16, SIDE, SIDE)
    assert hits(after, others, corners) >= 0.9 > 0.7 >= hits(before, others, corners)


@pytest.mark.parametrize("name", TRAINED)
def test_other_random_weights_give_another_map(name):
    changes, _ = TRAINED[name]
    examples, _ = planted(8)
    maps = [explain(predictor(examples, seed, **changes), examples).maps.astype(float) for seed in (0, 1)]
    assert np.abs(maps[0] - maps[1]).mean() > 5


def test_maps_of_an_image_do_not_depend_on_the_images_beside_it():
    examples, _ = planted(8)
    model = predictor(examples, baseline_cnn=CNN)
    alone = replace(examples, rows=examples.rows[5:6], metadata=examples.metadata[5:6], targets=examples.targets[5:6])
    alone = replace(alone, diagnoses=examples.diagnoses[5:6])
    difference = explain(model, alone).maps[0].astype(int) - explain(model, examples).maps[5]
    assert np.abs(difference).max() <= 1


def test_a_network_without_images_has_no_maps():
    examples, _ = planted()
    with pytest.raises(ValueError, match="reads images"):
        explain(predictor(examples, network="metadata_mlp"), examples)
