"""The processes of one training: one by itself, or several that torchrun started, a GPU or a share of the CPU each."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from melanoma.common.errors import InputError

# A process that hears nothing of another for so long takes it for dead, and the job fails instead of hanging.
PATIENCE = timedelta(minutes=30)


@dataclass(frozen=True)
class Processes:
    """This process's number among all (`rank`) and on its node (`local`), and how many there are (`count`)."""

    rank: int = 0
    count: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """Return the sum of `values` over all processes, the same bits in each."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def gather(self, value: Any) -> list[Any]:
        """Return what each process gave, in the order of their ranks, in each process."""
        if self.count == 1:
            return [value]
        values = [None] * self.count
        dist.all_gather_object(values, value)
        return values

    def share_buffers(self, model: nn.Module) -> None:
        """Give every process the first one's buffers, such as the statistics of batch norm."""
        if self.count > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, src=0)


@contextmanager
def joined(recipe: dict[str, Any]) -> Iterator[Processes]:
    """Join the processes that torchrun started, or be alone; leave them at the end.

    Raises InputError where their number is not what the recipe asks for: one for each GPU, or one for each node. A
    recipe for the CPU of one node takes any number.
    """
    found = Processes(*(int(os.environ.get(name, default)) for name, default in _VARIABLES))
    on_a_node = max(recipe["gpus"], 1)
    wanted = recipe["nodes"] * on_a_node
    if (recipe["gpus"] or recipe["nodes"] > 1) and found.count != wanted:
        raise InputError(
            f"The recipe asks for {recipe['nodes']} node(s) with {recipe['gpus']} GPU(s) each, so {wanted} processes,"
            f" and there are {found.count}. Start it through torchrun --nnodes={recipe['nodes']}"
            f" --nproc-per-node={on_a_node} scripts/train.py ..., or change the model's resources.gpus and nodes."
        )
    if found.count == 1:
        yield found
        return
    dist.init_process_group("nccl" if recipe["gpus"] else "gloo", timeout=PATIENCE)
    try:
        yield found
    finally:
        dist.destroy_process_group()


class SynchronizedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm over the images of all processes: Ioffe and Szegedy (2015) as if one process had the whole batch.

    torch's own runs on GPUs alone.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Return normalized `inputs` (n, channels, ...)."""
        if not self.training:
            return super().forward(inputs)
        over = [axis for axis in range(inputs.dim()) if axis != 1]
        shape = [1, -1] + [1] * (inputs.dim() - 2)
        count = _Sum.apply(inputs.new_tensor(inputs.numel() / inputs.shape[1]))
        mean = _Sum.apply(inputs.sum(over)) / count
        centered = inputs - mean.view(shape)
        variance = _Sum.apply(centered.square().sum(over)) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return centered * scale.view(shape) + self.bias.view(shape)

    def _check_input_dim(self, inputs: Tensor) -> None:
        """Take images and vectors alike."""


class _Sum(torch.autograd.Function):
    """The sum over all processes, whose gradient is the sum of theirs."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        """Return the sum of `values`."""
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        """Return the sum of `gradient`."""
        return _Sum.forward(context, gradient)


def synchronize_batch_norm(module: nn.Module) -> nn.Module:
    """Return `module` with every batch norm in it, or it itself, replaced by one over all processes, same weights."""
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        synchronized = SynchronizedBatchNorm(module.num_features, module.eps, module.momentum)
        synchronized.load_state_dict(module.state_dict())
        return synchronized
    for name, child in module.named_children():
        setattr(module, name, synchronize_batch_norm(child))
    return module


_VARIABLES = (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0))
