"""All networks of timm, as backbones."""

from typing import Any

import timm
from timm.layers.adaptive_avgmax_pool import SelectAdaptivePool2d
from torch import nn

from melanoma.common.errors import InputError
from melanoma.config import networks as options
from melanoma.models.layers import GeneralizedMean

PREFIX = "timm/"


def build(name: str, size: int, settings: options.Backbone) -> nn.Module:
    """Return the network `name` with random weights, for images of side `size`.

    Raises InputError for a name that timm does not have, and if it cannot pool by GeM or use gradient checkpointing.
    """
    timm_name = name.removeprefix(PREFIX)
    if not options.has_network(timm_name):
        nearest = [PREFIX + match for match in options.nearest_networks(timm_name)]
        meant = f" (did you mean {' or '.join(nearest)}?)" if nearest else ""
        raise InputError(f"network: timm {timm.__version__} has no network {timm_name!r}{meant}")
    published = timm.get_pretrained_cfg(timm_name)
    arguments: dict[str, Any] = {"img_size": size} if published is not None and published.fixed_input_size else {}
    if settings.features == "pooled":
        arguments["num_classes"] = 0
    network: Any = timm.create_model(timm_name, **arguments)
    if settings.pooling == "gem":
        _pool_by_gem(name, network)
    if settings.gradient_checkpointing:
        try:
            network.set_grad_checkpointing()
        except (AssertionError, AttributeError) as error:
            raise InputError(f"backbone.gradient_checkpointing: {name} of timm has none; set it to false") from error
    built: nn.Module = network
    return built


def classifier(network: Any) -> tuple[str, ...]:
    """Return the names of the published output layers."""
    names = network.pretrained_cfg.get("classifier") or ()
    return (names,) if isinstance(names, str) else tuple(names)


def _pool_by_gem(name: str, network: nn.Module) -> None:
    """Replace timm's pooling layer by GeM over the same dimensions."""
    layers: list[tuple[str, Any]] = [
        (path, layer)
        for path, layer in network.named_modules()
        if isinstance(layer, SelectAdaptivePool2d) and layer.pool_type
    ]
    if len(layers) != 1:
        raise InputError(f"backbone.pooling: {name} has no pooled feature map, which gem needs; set it to average")
    path, layer = layers[0]
    dims = getattr(layer.pool, "dim", (2, 3))
    flattens = getattr(layer.pool, "flatten", False) or isinstance(layer.flatten, nn.Flatten)
    network.set_submodule(path, GeneralizedMean(dims, keepdim=not flattens))
