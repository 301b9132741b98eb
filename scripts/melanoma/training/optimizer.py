"""The optimizer of a recipe: learning rates of parameters, clipping of gradients, and the average of the weights."""

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim.swa_utils import AveragedModel

from melanoma.common.errors import InputError, listing
from melanoma.config.optimization import Optimizer, ParameterGroup
from melanoma.models.classifier import Classifier

Kind = TypeVar("Kind", bound=torch.optim.Optimizer)


class WeightAverage(AveragedModel):
    """torch's average of the parameters and buffers of a network, in `module`, with a decay that grows at first.

    In step t the average keeps the share min(decay, (1 + t) / (10 + t)) of its value, as in TensorFlow. So it soon
    forgets the initial weights. The network must have no wrapper, such as that of torch.compile.
    """

    module: Classifier

    def __init__(self, network: Classifier, decay: float) -> None:
        # torch's count of updates must be on the device, too: a recording repeats only what the device does.
        super().__init__(network, next(network.parameters()).device, use_buffers=True)
        self.decay = decay

    def share(self, step: int) -> float:
        """Return the share of the weights after optimizer step `step`, counted from 1, in the average."""
        return 1 - min(self.decay, (1 + step) / (10 + step))

    @torch.no_grad()
    def add(self, network: Classifier, share: float | Tensor) -> None:
        """Add the weights of `network` with this share, a number or a scalar on their device.

        Buffers of integers, such as counts and indices, are copied: their mean would be rounded down.
        """
        # torch's own update copies its number of updates to the GPU, and waits for the GPU to do so, in each step.
        averages = chain(self.module.parameters(), self.module.buffers())
        pairs = list(zip(averages, chain(network.parameters(), network.buffers()), strict=True))
        means, values = zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True)
        torch._foreach_lerp_(means, values, [share] * len(means) if isinstance(share, Tensor) else share)
        integers = [pair for pair in pairs if not pair[0].is_floating_point()]
        if integers:
            averaged, current = zip(*integers, strict=True)
            torch._foreach_copy_(averaged, current)
        self.n_averaged += 1


def build_optimizer(model: nn.Module, settings: Optimizer) -> torch.optim.Optimizer:
    """Return the optimizer of all parameters of `model`, also of those that are frozen now.

    Parameters with the same learning rate and weight decay form a group, in the order of the model's parameters. The
    rate that a schedule multiplies is the group's `base_rate`. Raises InputError for a pattern of `groups` that is no
    parameter's first match.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter, rate, decay in _rates(dict(model.named_parameters()), settings):
        groups.setdefault((rate, decay), []).append(parameter)
    parameters = [
        {"params": group, "lr": rate, "base_rate": rate, "weight_decay": decay}
        for (rate, decay), group in groups.items()
    ]
    # On a GPU one kernel updates many parameters.
    fused = True if next(model.parameters()).is_cuda else None
    match settings.name:
        case "sgd":
            nesterov = settings.momentum > 0
            sgd = _not_compiled(torch.optim.SGD)
            return sgd(parameters, momentum=settings.momentum, nesterov=nesterov, fused=fused)
        case "adamw":
            return _not_compiled(torch.optim.AdamW)(parameters, fused=fused)
        case "adam":
            return _not_compiled(torch.optim.Adam)(parameters, fused=fused)


def _not_compiled(kind: type[Kind]) -> type[Kind]:
    """Return the class `kind` with methods that do not import torch's compiler, which takes more than a second.

    torch wraps these methods to hide them from its compiler, and imports it for that at their first call. Here only
    networks are compiled.
    """
    hidden = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in hidden}
    step = torch.no_grad()(inspect.unwrap(kind.step))
    return cast(type[Kind], type(kind.__name__, (kind,), methods | {"step": step}))


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set each group's learning rate to `factor` times its base rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_rate"] * factor


@contextmanager
def rates_on_device(optimizer: torch.optim.Optimizer, rates: Sequence[Tensor]) -> Iterator[None]:
    """Let the optimizer read the learning rates of its groups from these scalars, so that its step can be recorded.

    Afterwards its groups are as before: a checkpoint has the same form with and without a recording.
    """
    before = [dict(group) for group in optimizer.param_groups]
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group |= {"lr": rate} | ({"capturable": True} if "capturable" in group else {})
    try:
        yield
    finally:
        for group, values in zip(optimizer.param_groups, before, strict=True):
            group.update(values)


def create_state(optimizer: torch.optim.Optimizer) -> None:
    """Give each parameter without a state of the optimizer that of torch before its first step, which is all 0.

    A recording of the step needs it. So does a fused SGD when a backbone is released: torch expects that either all
    parameters or none have a momentum.
    """
    is_adam = isinstance(optimizer, torch.optim.Adam)
    for group in optimizer.param_groups:
        names = ("exp_avg", "exp_avg_sq") if is_adam else ("momentum_buffer",) if group["momentum"] else ()
        for parameter in group["params"]:
            if names and not optimizer.state[parameter]:
                state = {name: torch.zeros_like(parameter, memory_format=torch.preserve_format) for name in names}
                step = {"step": torch.zeros((), device=parameter.device)} if is_adam else {}
                optimizer.state[parameter] = step | state


def load_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load the `state_dict` of the same optimizer, on this or another device, and keep the way of this device."""
    groups = zip(state["param_groups"], optimizer.param_groups, strict=True)
    optimizer.load_state_dict(state | {"param_groups": [saved | {"fused": own["fused"]} for saved, own in groups]})


def clip(parameters: Iterable[nn.Parameter], norm: float | None) -> Tensor:
    """Scale all gradients to a norm of at most `norm`, unless it is None. Return their norm before, a scalar."""
    learning = [parameter for parameter in parameters if parameter.grad is not None]
    total = get_total_norm([parameter.grad for parameter in learning if parameter.grad is not None])
    if norm is not None:
        clip_grads_with_norm_(learning, norm, total)
    return total


def _rates(parameters: dict[str, nn.Parameter], settings: Optimizer) -> Iterator[tuple[nn.Parameter, float, float]]:
    """Yield each parameter with its learning rate and its weight decay."""
    groups = _group_by_name(list(parameters), settings.groups)
    for name, parameter in parameters.items():
        group = groups.get(name)
        rate, decay = settings.learning_rate, settings.weight_decay
        if group is not None and group.learning_rate is not None:
            rate = group.learning_rate
        if group is not None and group.weight_decay is not None:
            decay = group.weight_decay
        if settings.no_weight_decay_on_norm_and_bias and parameter.ndim <= 1:
            decay = 0.0
        yield parameter, rate, decay


def _group_by_name(names: list[str], groups: Sequence[ParameterGroup]) -> dict[str, ParameterGroup]:
    """Return for each name the first of `groups` whose pattern matches."""
    by_name: dict[str, ParameterGroup] = {}
    for group in groups:
        remaining = [name for name in names if name not in by_name]
        matches = [name for name in remaining if re.search(group.match, name)]
        if not matches:
            raise InputError(
                f"optimizer.groups: no parameter's name matches {group.match!r}, or an earlier pattern matches all that"
                f" do. The remaining names are:\n{listing(remaining)}"
            )
        by_name |= dict.fromkeys(matches, group)
    return by_name
