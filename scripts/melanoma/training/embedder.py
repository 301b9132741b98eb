"""The features of all images of a store by a frozen network, as means over the eight flips and turns of each image."""

from pathlib import Path

import numpy as np
import torch

from melanoma.common.rng import derived_seed
from melanoma.compute.distributed import Processes
from melanoma.config.augmentation import TTA
from melanoma.config.facts import training_recipe
from melanoma.config.recipe import Recipe
from melanoma.images.store import ImageStore
from melanoma.models.classifier import build_network
from melanoma.models.embeddings import Embeddings, FrozenNetwork
from melanoma.models.pretrained import start_from_pretrained, weights_digest
from melanoma.training.loader import Examples
from melanoma.training.predictor import Predictor
from melanoma.training.prefetch import Prefetch

VIEWS = TTA(name="dihedral")


def embed(recipe: Recipe, images: Path, device: torch.device, workers: int, processes: Processes) -> Embeddings:
    """Return the features of all images of the store `images` by the image network of `recipe`.

    Every process makes the same call and gets the whole result. Raises InputError if the weights file does not exist or
    does not fit, or if the network cannot take images of that size.
    """
    store = ImageStore(images)
    examples = _unlabeled(store, recipe.input_size or store.size)
    torch.manual_seed(derived_seed(recipe.seed, 0))
    network = build_network(recipe, examples.output_size, columns=0)
    start_from_pretrained(network, recipe)
    network.to(device).to(memory_format=torch.channels_last)
    with Prefetch(workers, pinned=device.type == "cuda") as prefetch:
        _, values = Predictor(network, recipe, device, prefetch, processes).predict(examples, VIEWS)
    if values is None:
        raise ValueError(f"{recipe.network} reads no images, so it has no features of them")
    about = FrozenNetwork(
        recipe=training_recipe(recipe), weights_sha256=weights_digest(recipe), images=store.preparation
    )
    return Embeddings(list(store.names), values, about)


def _unlabeled(store: ImageStore, output_size: int) -> Examples:
    """Return all images of a store, without metadata and labels."""
    count = len(store)
    return Examples(
        metadata=np.zeros((count, 0), np.float32),
        targets=np.zeros(count, np.float32),
        diagnoses=np.full(count, -1, np.int64),
        store=store,
        rows=np.arange(count),
        output_size=output_size,
    )
