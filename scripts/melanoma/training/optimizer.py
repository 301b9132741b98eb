"""The optimizer of a recipe: which parameters learn at which rate, and how far one step may go."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from melanoma.common.errors import InputError, listing


def build_optimizer(model: nn.Module, settings: dict[str, Any]) -> torch.optim.Optimizer:
    """Return the optimizer of the recipe's `settings` for all parameters of `model`, also those that are frozen now.

    Parameters of the same learning rate and weight decay form a group, in the order of the model's parameters, with the
    rate that a schedule multiplies as `base_rate`. Raises InputError for a pattern of `groups` that is no parameter's
    first match.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter, rate, decay in _rates(dict(model.named_parameters()), settings):
        groups.setdefault((rate, decay), []).append(parameter)
    parameters = [
        {"params": group, "lr": rate, "base_rate": rate, "weight_decay": decay}
        for (rate, decay), group in groups.items()
    ]
    match settings["name"]:
        case "sgd":
            momentum = settings["momentum"]
            return torch.optim.SGD(parameters, momentum=momentum, nesterov=momentum > 0)
        case "adamw":
            return torch.optim.AdamW(parameters)
        case _:
            return torch.optim.Adam(parameters)


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set each group's learning rate to `factor` times its base rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_rate"] * factor


def clip(parameters: Iterable[nn.Parameter], norm: float | None) -> Tensor:
    """Scale all gradients so that their norm is at most `norm`, if given. Return their norm before, a scalar."""
    learning = [parameter for parameter in parameters if parameter.grad is not None]
    total = get_total_norm([parameter.grad for parameter in learning])
    if norm is not None:
        clip_grads_with_norm_(learning, norm, total)
    return total


def _rates(
    parameters: dict[str, nn.Parameter], settings: dict[str, Any]
) -> Iterator[tuple[nn.Parameter, float, float]]:
    """Yield each parameter with its learning rate and its weight decay."""
    chosen = _chosen(list(parameters), settings["groups"])
    for name, parameter in parameters.items():
        own = {key: value for key, value in chosen.get(name, {}).items() if value is not None}
        group = settings | own
        decays = parameter.ndim > 1 or not settings["no_weight_decay_on_norm_and_bias"]
        yield parameter, group["learning_rate"], group["weight_decay"] if decays else 0.0


def _chosen(names: list[str], groups: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Map names to the first of `groups` whose pattern is found in them."""
    chosen: dict[str, dict[str, Any]] = {}
    for group in groups:
        left = [name for name in names if name not in chosen]
        found = [name for name in left if re.search(group["match"], name)]
        if not found:
            raise InputError(
                f"optimizer.groups: no parameter's name matches {group['match']!r}, or an earlier pattern has taken all"
                f" that do. Names that are left:\n{listing(left)}"
            )
        chosen |= dict.fromkeys(found, group)
    return chosen
