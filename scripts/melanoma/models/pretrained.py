"""Pretrained weights: read from their file, or refused with an error, but never replaced by random weights."""

import hashlib
import pickle
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from melanoma.common.cli import log
from melanoma.common.errors import InputError, listing
from melanoma.config.recipe import Recipe
from melanoma.models.backbones import Backbone, published_classifier
from melanoma.models.classifier import Classifier
from melanoma.models.layers import exponents

Weights = dict[str, Tensor]

WRAPPERS = ("state_dict", "model")
# Batch norm with a momentum does not read its count of batches, and older files lack it.
COUNTER = "num_batches_tracked"
OTHER_FILE = "Name the file of this network in backbone.weights, or set backbone.pretrained to false"
NO_CLASSIFIER = "Its classifier has other classes: set backbone.features to pooled, which removes the classifier"


def start_from_pretrained(model: Classifier, recipe: Recipe) -> None:
    """Load the recipe's pretrained weights into the backbone of `model`, if the recipe has any.

    Raises InputError as `load_pretrained` does.
    """
    if recipe.weights_file is not None and isinstance(model.image, Backbone):
        load_pretrained(model.image.network, recipe.network, Path(recipe.weights_file))
        log.info("%s starts from %s", recipe.network, recipe.weights_file)


def weights_digest(recipe: Recipe) -> str:
    """Return the SHA-256 of the recipe's file of pretrained weights, or "" if the recipe starts from random weights.

    Raises InputError if the file does not exist.
    """
    return "" if recipe.weights_file is None else _digest(Path(recipe.weights_file), recipe.network)


def load_pretrained(network: nn.Module, name: str, path: Path) -> None:
    """Load the weights in `path` into `network`, which a library has under `name`.

    The file is a state dictionary of torch.save or safetensors. It may be inside `state_dict` or `model`, and its names
    may begin with `module.`. Its classifier is left out if the network has none. Raises InputError if the file does not
    exist, is damaged, has another hash than its name says, or does not fit the network in every name and shape.
    """
    _check_hash(path, _digest(path, name))
    weights = _without_classifier(network, name, _converted(network, name, path, _read(path)))
    _check_fit(network, name, path, weights)
    network.load_state_dict(weights, strict=False)


def _digest(path: Path, name: str) -> str:
    if not path.is_file():
        raise InputError(
            f"{path}: the pretrained weights of {name} do not exist. Put the file there, name another one in"
            " backbone.weights, or set backbone.pretrained to false to start from random weights"
        )
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_hash(path: Path, digest: str) -> None:
    """Check the first digits of the SHA-256 if the name ends in them, as torch.hub has it: resnest269-0cc87c48.pth."""
    named = re.search(r"-([0-9a-f]{8,64})\Z", path.stem)
    if named and not digest.startswith(named[1]):
        raise InputError(
            f"{path}: its SHA-256 is {digest}, and by its name it should begin with {named[1]}. The file is damaged or"
            " is another one: delete it, so that it is downloaded again, or put the right one there. If the digits are"
            " no hash, rename the file"
        )


def _read(path: Path) -> Weights:
    """Return the state dictionary in a file."""
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, pickle.UnpicklingError, SafetensorError) as error:
        raise InputError(
            f"{path}: cannot be read as weights, because it is damaged or has other content ({error}). Put a whole file"
            " of torch.save or safetensors there"
        ) from error
    for wrapper in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{path}: expected a state dictionary, names with their tensors")
    infinite = [name for name, value in content.items() if not value.isfinite().all()]
    if infinite:
        raise InputError(f"{path}: {infinite[0]} is not finite. The file is damaged: put a whole file there")
    return {name.removeprefix("module."): value for name, value in content.items()}


def _converted(network: nn.Module, name: str, path: Path, weights: Weights) -> Weights:
    """Return weights as timm itself converts them: from old names, and positions from another size."""
    convert = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    if convert is None:
        return weights
    try:
        converted: Weights = convert(weights, network)
    except Exception as error:  # timm raises exceptions of any kind for the weights of another network.
        raise InputError(f"{path}: timm cannot read these as weights of {name} ({error}). {OTHER_FILE}") from error
    return converted


def _without_classifier(network: nn.Module, name: str, weights: Weights) -> Weights:
    """Return weights without the published classifier, unless the network still has it."""
    kept, published = set(network.state_dict()), _classifier(network, name)
    return {key: value for key, value in weights.items() if key in kept or not key.startswith(published)}


def _check_fit(network: nn.Module, name: str, path: Path, weights: Weights) -> None:
    expected = {key: value for key, value in network.state_dict().items() if key not in exponents(network)}
    missing = [key for key in expected if key not in weights and not key.endswith(COUNTER)]
    unexpected = [key for key in weights if key not in expected]
    shapes = [
        f"{key} {tuple(value.shape)}, expected {tuple(expected[key].shape)}"
        for key, value in weights.items()
        if key in expected and value.shape != expected[key].shape
    ]
    faults = [*_counted("missing", missing), *_counted("unexpected", unexpected), *_counted("of another shape", shapes)]
    if faults:
        in_classifier = all(key.startswith(_classifier(network, name)) for key in (*missing, *unexpected, *shapes))
        advice = NO_CLASSIFIER if in_classifier else OTHER_FILE
        raise InputError(f"{path}: these are not the weights of {name}:\n{listing(faults)}\n{advice}")


def _classifier(network: nn.Module, name: str) -> tuple[str, ...]:
    return tuple(f"{layer}." for layer in published_classifier(name, network))


def _counted(fault: str, names: list[str]) -> Iterator[str]:
    if names:
        yield f"{len(names)} {fault}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
