"""What follows from a study: what decides each result, under which name it is kept, and how it is told."""

import json
from pathlib import PurePath
from typing import Any

from melanoma.common.files import sha256
from melanoma.config.base import Plain
from melanoma.config.recipe import Recipe
from melanoma.config.study import Study

# What decides how and where something is computed, but not what comes out.
INDIFFERENT = ("resources", "checkpoint_batches", "checkpoint_minutes")
INDIFFERENT_TO_IMAGES = ("shards", "threads")


def section_read(study: Study, section: str) -> Plain:
    """Return what decides the results of a section's stage, with the options that nothing reads at their defaults."""
    read = study.as_read().dump()[section]
    return {key: value for key, value in read.items() if section != "images" or key not in INDIFFERENT_TO_IMAGES}


def training_name(recipe: Recipe) -> str:
    """Return the name of a recipe's training: the network and a hash of all that decides its weights.

    So a model that is renamed keeps its training, and models that differ only in their prediction share one.
    """
    decides = [training_recipe(recipe), recipe.tune and recipe.tune.dump()]
    return f"{recipe.network.replace('/', '_')}-{_digest(decides)[:8]}"


def training_recipe(recipe: Recipe) -> Plain:
    """Return what decides the weights of a recipe: not how it is computed, nor what is another network's."""
    options = recipe.as_read().dump()
    if recipe.is_external:
        return {key: options[key] for key in ("network", "file")}
    if recipe.is_tabular:
        return {key: options[key] for key in ("network", "seed", "inputs", recipe.network) if key in options}
    unread = {*INDIFFERENT, "tta", "tune", "seeds", "file", "inputs"}
    unread |= {"random_forest", "gradient_boosting", "baseline_cnn"} - {recipe.network}
    if not recipe.is_backbone:
        unread |= {"backbone"}
    if not recipe.reads_images:
        unread |= {"augmentation"}
    elif recipe.head == "image_only":
        unread |= {"metadata"}
    return {key: value for key, value in options.items() if key not in unread}


def computing(recipe: Recipe) -> Plain:
    """Return how a training is computed: its GPUs and nodes, and how often it saves itself."""
    devices = {"gpus": recipe.resources.gpus, "nodes": recipe.resources.nodes}
    times = {"checkpoint_batches": recipe.checkpoint_batches, "checkpoint_minutes": recipe.checkpoint_minutes}
    return devices | times


def configuration_digest(study: Study) -> str:
    """Return a hash of all in a study's configuration that decides what is predicted, 16 hexadecimal digits."""
    sections = {key: section_read(study, key) for key in ("data", "images", "split", "predict", "fusions", "fuse")}
    models = {
        name: {key: value for key, value in recipe.as_read().dump().items() if key not in INDIFFERENT}
        for name, recipe in study.models.items()
    }
    return _digest(sections | {"models": models})[:16]


def start_of(recipe: Recipe) -> str:
    """Say what weights the recipe's network starts from, for the report; empty for what we do not train by epochs."""
    if not recipe.is_trained:
        return ""
    file = recipe.weights_file
    return "random weights" if file is None else f"pretrained weights {PurePath(file).name}"


def pieces(study: Study, most: int) -> list[Plain]:
    """Return a configuration in parts that together are it, each of at most `most` characters as JSON.

    A model, a fusion, a download, and any other section are never divided: one that is larger is a part of its own.
    """
    items: list[Plain] = []
    for section, value in study.dump().items():
        named = section in ("models", "fusions", "fetch") and value
        items += [{section: {name: item}} for name, item in value.items()] if named else [{section: value}]
    parts: list[Plain] = []
    size = most
    for item in items:
        added = len(json.dumps(item))
        if size + added > most:
            parts.append({})
            size = 0
        ((section, value),) = item.items()
        known = parts[-1].get(section)
        parts[-1][section] = value if known is None else known | value
        size += added
    return parts


def _digest(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode())
