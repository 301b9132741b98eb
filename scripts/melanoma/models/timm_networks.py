"""All networks of timm, as backbones: built, and their classifiers."""

import difflib
from typing import Any

import timm
from timm.layers import SelectAdaptivePool2d
from torch import nn

from melanoma.common.errors import InputError
from melanoma.models.layers import GeneralizedMean

PREFIX = "timm/"


def build(name: str, size: int, settings: dict[str, Any]) -> nn.Module:
    """Return the network `name` for images of side `size`, by the recipe's settings of the backbone; random weights.

    Raises InputError for a name that timm does not know, and for what it cannot pool by GeM or recompute.
    """
    known = name.removeprefix(PREFIX)
    if known not in {*timm.list_models(), *timm.list_pretrained()}:
        nearest = difflib.get_close_matches(known, [*timm.list_models(), *timm.list_pretrained()], n=3)
        meant = f"; did you mean {' or '.join(PREFIX + match for match in nearest)}?" if nearest else ""
        raise InputError(f"network: timm {timm.__version__} has no {known!r}{meant}")
    options = {"img_size": size} if timm.get_pretrained_cfg(known).fixed_input_size else {}
    if settings["features"] == "pooled":
        options["num_classes"] = 0
    network = timm.create_model(known, **options)
    if settings["pooling"] == "gem":
        _pool_by_gem(name, network)
    if settings["gradient_checkpointing"]:
        try:
            network.set_grad_checkpointing()
        except (AssertionError, AttributeError) as error:
            raise InputError(
                f"backbone.gradient_checkpointing: timm cannot recompute {name}; set it to false"
            ) from error
    return network


def classifier(network: nn.Module) -> tuple[str, ...]:
    """Return the names of the output layers that the network was published with."""
    names = network.pretrained_cfg.get("classifier") or ()
    return (names,) if isinstance(names, str) else tuple(names)


def _pool_by_gem(name: str, network: nn.Module) -> None:
    """Exchange timm's pooling layer for GeM over the same dimensions."""
    found = [
        (path, layer)
        for path, layer in network.named_modules()
        if isinstance(layer, SelectAdaptivePool2d) and not layer.is_identity()
    ]
    if len(found) != 1:
        raise InputError(f"backbone.pooling: {name} pools no feature map, so gem cannot; set it to average")
    path, layer = found[0]
    dims = getattr(layer.pool, "dim", (2, 3))
    flattens = getattr(layer.pool, "flatten", False) or isinstance(layer.flatten, nn.Flatten)
    network.set_submodule(path, GeneralizedMean(dims, keepdim=not flattens))
