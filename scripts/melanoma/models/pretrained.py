"""Pretrained weights: read from their file, and refused where anything is wrong, never replaced by random ones."""

import hashlib
import pickle
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from melanoma.common.cli import log
from melanoma.common.errors import InputError, listing
from melanoma.config.recipe import Recipe
from melanoma.models.backbones import classifier_of
from melanoma.models.classifier import Classifier
from melanoma.models.layers import exponents

WRAPPERS = ("state_dict", "model")
# Counts batches and decides nothing; older files lack it.
COUNTER = "num_batches_tracked"
ANOTHER = "Name the file of this very network in backbone.weights, or set backbone.pretrained to false"
POOLED = "Its classifier is of other classes: set backbone.features to pooled, which does without a classifier"


def start_from_pretrained(model: Classifier, recipe: dict[str, Any]) -> None:
    """Load the recipe's pretrained weights into the model's backbone, where it starts from any.

    Raises InputError as `load_pretrained` does.
    """
    file = _weights_file(recipe)
    if file is not None:
        load_pretrained(model.image.network, recipe["network"], Path(file))
        log.info("%s starts from %s", recipe["network"], file)


def weights_digest(recipe: dict[str, Any]) -> str:
    """Return the SHA-256 of the recipe's file of pretrained weights; empty where it starts from random ones.

    Raises InputError where the file is not there.
    """
    file = _weights_file(recipe)
    return "" if file is None else _digest(Path(file), recipe["network"])


def _weights_file(recipe: dict[str, Any]) -> str | None:
    return Recipe.model_validate({key: recipe[key] for key in ("network", "backbone") if key in recipe}).weights_file


def load_pretrained(network: nn.Module, name: str, path: Path) -> None:
    """Load the weights in `path` into `network`, a library's network as a `Backbone` holds it; `name` is the recipe's.

    The file is a state dictionary as torch.save or safetensors write it, maybe inside `state_dict` or `model` and with
    its names after `module.`; its classifier is left out where the network has none. Raises InputError where the file
    is not there, is damaged, is not the one that its name says, or does not fit the network in every name and shape.
    """
    _check_hash(path, _digest(path, name))
    weights = _without_classifier(network, name, _converted(network, name, path, _read(path)))
    _check_fit(network, name, path, weights)
    network.load_state_dict(weights, strict=False)


def _digest(path: Path, name: str) -> str:
    if not path.is_file():
        raise InputError(
            f"{path}: the pretrained weights of {name} are not there. Put the file there, name another in"
            " backbone.weights, or set backbone.pretrained to false to start from random weights"
        )
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_hash(path: Path, digest: str) -> None:
    """Check the first digits of the SHA-256 that a name ends in, as torch.hub has it: resnest269-0cc87c48.pth."""
    named = re.search(r"-([0-9a-f]{8,64})$", path.stem)
    if named and not digest.startswith(named[1]):
        raise InputError(
            f"{path}: its SHA-256 is {digest}, and by its name it should begin with {named[1]}: the file is damaged or"
            " another one. Delete it, so that it is downloaded again, or put the right one there; where the digits are"
            " no hash, rename it"
        )


def _read(path: Path) -> dict[str, Tensor]:
    """Return the state dictionary in a file, without what it is wrapped in."""
    try:
        if path.suffix == ".safetensors":
            found: Any = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, pickle.UnpicklingError, SafetensorError) as error:
        raise InputError(
            f"{path}: cannot be read as weights, because it is damaged or holds more than weights ({error}). Put a"
            " whole file there, of torch.save or safetensors"
        ) from error
    for wrapper in WRAPPERS:
        if isinstance(found, dict) and isinstance(found.get(wrapper), dict):
            found = found[wrapper]
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise InputError(f"{path}: expected a state dictionary, names with their tensors")
    return {name.removeprefix("module."): value for name, value in found.items()}


def _converted(network: nn.Module, name: str, path: Path, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights as timm converts them where it reads them itself: old names, and positions for another size."""
    convert = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    if convert is None:
        return weights
    try:
        return convert(weights, network)
    except Exception as error:  # what timm raises on weights of another network is not said
        raise InputError(f"{path}: timm cannot read these as weights of {name} ({error}). {ANOTHER}") from error


def _without_classifier(network: nn.Module, name: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights without the published classifier, where the network has it no more."""
    kept, published = set(network.state_dict()), _classifier(network, name)
    return {key: value for key, value in weights.items() if key in kept or not key.startswith(published)}


def _check_fit(network: nn.Module, name: str, path: Path, weights: dict[str, Tensor]) -> None:
    expected = {key: value for key, value in network.state_dict().items() if key not in exponents(network)}
    missing = [key for key in expected if key not in weights and not key.endswith(COUNTER)]
    unexpected = [key for key in weights if key not in expected]
    shapes = [
        f"{key} {tuple(value.shape)}, expected {tuple(expected[key].shape)}"
        for key, value in weights.items()
        if key in expected and value.shape != expected[key].shape
    ]
    faults = [*_named("missing", missing), *_named("unexpected", unexpected), *_named("of another shape", shapes)]
    if faults:
        of_classifier = all(key.startswith(_classifier(network, name)) for key in (*missing, *unexpected, *shapes))
        advice = POOLED if of_classifier else ANOTHER
        raise InputError(f"{path}: these are not the weights of {name}:\n{listing(faults)}\n{advice}")


def _classifier(network: nn.Module, name: str) -> tuple[str, ...]:
    return tuple(f"{layer}." for layer in classifier_of(name, network))


def _named(what: str, names: list[str]) -> Iterable[str]:
    if names:
        yield f"{len(names)} {what}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
