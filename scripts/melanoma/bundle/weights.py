"""The weights of a trained network as safetensors, a format that runs no code when it is read."""

import json
from typing import Any, cast

from safetensors import SafetensorError
from safetensors.torch import load, save

from melanoma.common.errors import InputError
from melanoma.training.predictor import TrainedNetwork

ABOUT = "trained_network"


def to_safetensors(trained: TrainedNetwork) -> bytes:
    """Return the weights, with all other entries of a trained network as JSON in the header."""
    about = {name: value for name, value in trained.items() if name != "weights"}
    weights = {name: tensor.contiguous() for name, tensor in trained["weights"].items()}
    return save(weights, {ABOUT: json.dumps(about)})


def from_safetensors(data: bytes, name: str) -> TrainedNetwork:
    """Return the trained network of a file. `name` is that of the file, for errors."""
    try:
        weights = load(data)
        about: dict[str, Any] = json.loads(_header(data)["__metadata__"][ABOUT])
    except (SafetensorError, ValueError, KeyError) as error:
        raise InputError(f"{name}: not the weights of a network of this workflow ({error}). Copy it again") from error
    return cast(TrainedNetwork, about | {"weights": weights})


def _header(data: bytes) -> dict[str, Any]:
    """Return the header: JSON, behind its length in 8 bytes."""
    header: dict[str, Any] = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return header
