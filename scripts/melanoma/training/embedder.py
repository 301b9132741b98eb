"""The features of all images of a store by a frozen network, as means over the eight flips and turns of each image."""

from pathlib import Path

import numpy as np
import torch

from melanoma.common.errors import InputError
from melanoma.common.rng import derived_seed
from melanoma.compute.distributed import Processes
from melanoma.config.augmentation import TTA
from melanoma.config.facts import training_recipe
from melanoma.config.recipe import Recipe
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.images.store import ImageStore
from melanoma.models.classifier import Classifier, build_network
from melanoma.models.embeddings import Embeddings, FrozenNetwork
from melanoma.models.pretrained import start_from_pretrained, weights_digest
from melanoma.training.loader import Examples
from melanoma.training.predictor import Predictor, TrainedNetwork
from melanoma.training.prefetch import Prefetch

VIEWS = TTA(name="dihedral")


def embed(recipe: Recipe, images: Path, device: torch.device, workers: int, processes: Processes) -> Embeddings:
    """Return the features of all images of the store `images` by the image network of `recipe`.

    Every process makes the same call and gets the whole result. Raises InputError if the weights file does not exist or
    does not fit, or if the network cannot take images of that size.
    """
    store = ImageStore(images)
    examples = _unlabeled(store, recipe.input_size or store.size)
    network = _network(recipe, examples.output_size)
    network.to(device).to(memory_format=torch.channels_last)
    with Prefetch(workers, pinned=device.type == "cuda") as prefetch:
        _, values = Predictor(network, recipe, device, prefetch, processes).predict(examples, VIEWS)
    if values is None:
        raise ValueError(f"{recipe.network} reads no images, so it has no features of them")
    about = FrozenNetwork(
        recipe=training_recipe(recipe), weights_sha256=weights_digest(recipe), images=store.preparation
    )
    return Embeddings(list(store.names), values, about)


def frozen_network(about: FrozenNetwork) -> TrainedNetwork:
    """Return the network that computed features, with its weights, for a file that needs no other. It is not trained.

    Raises InputError if the weights file does not exist, or is another one than that of the features.
    """
    recipe = Recipe.model_validate(about["recipe"])
    if weights_digest(recipe) != about["weights_sha256"]:
        raise InputError(
            f"{recipe.weights_file}: it has changed since the features of {recipe.network} were computed. Put the file"
            f" with the SHA-256 {about['weights_sha256']} there, or run the study again"
        )
    size = recipe.input_size or about["images"]["size"]
    return {
        "recipe": about["recipe"],
        "encoder": MetadataEncoder(0.0, 1.0, (), ()).to_dict(),
        "size": size,
        "images": about["images"],
        "diagnoses": [],
        "trained_prevalence": 0.5,
        "epoch": 0,
        "weights": _network(recipe, size).state_dict(),
    }


def _network(recipe: Recipe, size: int) -> Classifier:
    """Return the network with its weights, for images of side `size`. Its last layer is random and has no use."""
    torch.manual_seed(derived_seed(recipe.seed, 0))
    network = build_network(recipe, size, columns=0)
    start_from_pretrained(network, recipe)
    return network


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
