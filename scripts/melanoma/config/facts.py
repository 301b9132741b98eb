"""Facts that follow from a study: the options that decide a result, and the names of trainings."""

import json
from pathlib import PurePath
from typing import Any

from melanoma.common.files import sha256
from melanoma.config.base import Plain
from melanoma.config.recipe import Recipe
from melanoma.config.study import Study

# Options that decide how something is computed, but not its result.
INDIFFERENT = ("resources", "checkpoint_batches", "checkpoint_minutes")
INDIFFERENT_TO_IMAGES = ("shards", "threads")


def section_read(study: Study, section: str) -> Plain:
    """Return the options of a section that decide the results of its stage. Unread options have their defaults."""
    read = study.as_read().dump()[section]
    return {key: value for key, value in read.items() if section != "images" or key not in INDIFFERENT_TO_IMAGES}


def training_name(recipe: Recipe) -> str:
    """Return the name of a recipe's training: the network, and a hash of the options that decide its weights.

    So a model with a new name keeps its training, and models that differ only in their prediction share a training.
    """
    decides = [training_recipe(recipe), recipe.tune and recipe.tune.dump()]
    return f"{recipe.network.replace('/', '_')}-{_digest(decides)[:8]}"


def training_recipe(recipe: Recipe) -> Plain:
    """Return the options that decide the weights: none of how they are computed, and none of other networks."""
    options = recipe.as_read().dump()
    if recipe.is_external:
        return {key: options[key] for key in ("network", "file")}
    if recipe.is_probe:
        read = ("network", "seed", "head", "inputs", "input_size", "backbone", "precision", "linear_probe")
        return {key: options[key] for key in read}
    if recipe.is_tabular:
        return {key: options[key] for key in ("network", "seed", "inputs", recipe.network) if key in options}
    unread = {*INDIFFERENT, "tta", "tune", "seeds", "file", "inputs"}
    unread |= {"random_forest", "gradient_boosting", "linear_probe", "baseline_cnn"} - {recipe.network}
    if not recipe.is_backbone:
        unread |= {"backbone"}
    if not recipe.reads_images:
        unread |= {"augmentation"}
    elif recipe.head == "image_only":
        unread |= {"metadata"}
    # Validation has the frame of the prediction. All frames are the same where the stored size is that of the input.
    framed = recipe.reads_images and recipe.input_size is not None and recipe.tta.frame != "scaled"
    decides = {key: value for key, value in options.items() if key not in unread}
    return decides | ({"tta": {"frame": recipe.tta.frame}} if framed else {})


def configuration_digest(study: Study) -> str:
    """Return a hash of the options of a study that decide its predictions, 16 hexadecimal digits."""
    sections = {key: section_read(study, key) for key in ("data", "images", "split", "predict", "fusions", "fuse")}
    models = {
        name: {key: value for key, value in recipe.as_read().dump().items() if key not in INDIFFERENT}
        for name, recipe in study.models.items()
    }
    return _digest(sections | {"models": models})[:16]


def start_of(recipe: Recipe) -> str:
    """Return the weights that the recipe's network starts from or keeps, in words; empty if it has no network."""
    if not recipe.is_trained and not recipe.is_probe:
        return ""
    file = recipe.weights_file
    return "random weights" if file is None else f"pretrained weights {PurePath(file).name}"


def pieces(study: Study, most: int) -> list[Plain]:
    """Return a configuration in parts, each of at most `most` characters as JSON.

    A model, a fusion, a download, and each other section are never divided. A larger one is a part of its own.
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
