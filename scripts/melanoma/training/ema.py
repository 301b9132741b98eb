"""The exponential mean of a network's weights over the steps of its training."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """The exponential moving average of the parameters and buffers of `model`, the network itself without any wrapper.

    In step t the average keeps min(decay, (1 + t) / (10 + t)) of itself, as TensorFlow's does, so that it soon forgets
    where training began. Buffers of whole numbers, as batch norm's count of batches, are copied.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.tensors = {name: tensor.clone() for name, tensor in _tensors(model).items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights of `model` after optimizer step `step`."""
        current = _tensors(model)
        averaged = [name for name, tensor in current.items() if tensor.is_floating_point()]
        means, values = ([tensors[name] for name in averaged] for tensors in (self.tensors, current))
        torch._foreach_lerp_(means, values, 1 - min(self.decay, (1 + step) / (10 + step)))
        for name in current.keys() - averaged:
            self.tensors[name].copy_(current[name])

    @contextmanager
    def swapped_in(self, model: nn.Module) -> Iterator[None]:
        """Give `model` the averaged weights, and its own back, to the bit, when the context ends."""
        current = _tensors(model)
        own = {name: tensor.clone() for name, tensor in current.items()}
        _copy(self.tensors, current)
        try:
            yield
        finally:
            _copy(own, current)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the averaged tensors by name; not copies."""
        return dict(self.tensors)

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take the averaged tensors from `state`, on whatever device they are."""
        _copy(state, self.tensors)


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer of `model` once, by name, without its gradient."""
    return {name: tensor.detach() for name, tensor in (*model.named_parameters(), *model.named_buffers())}


@torch.no_grad()
def _copy(source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
    torch._foreach_copy_(list(target.values()), [source[name] for name in target])
