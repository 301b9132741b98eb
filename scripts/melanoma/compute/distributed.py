"""The processes of one training: a single one, or several that torchrun started, each with a GPU or CPU threads."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from melanoma.common.errors import InputError

# A process that waits for another one for so long fails, and the job with it, instead of waiting forever.
TIMEOUT = timedelta(minutes=30)
Value = TypeVar("Value")
Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Processes:
    """The number of this process among all (`rank`) and on its node (`local_rank`), and how many there are."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and logs."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """Return the sum of `values` over all processes, the same bits in each."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def gather(self, value: Value) -> list[Value]:
        """Return the values of all processes in the order of their ranks, in each process."""
        if self.count == 1:
            return [value]
        values = [value] * self.count
        dist.all_gather_object(values, value)
        return values

    def part(self, whole: slice) -> slice:
        """Return this process's contiguous part of a slice; the lengths of the parts differ by at most one."""
        return contiguous_part(whole, self.rank, self.count)

    def turns(self, count: int) -> range:
        """Return those of `count` numbers that are this process's, if the processes take turns."""
        return range(self.rank, count, self.count)

    def share_parts(self, values: Tensor) -> None:
        """Copy to every process the rows of `values` that another one has. Each has those of its `part`."""
        if self.count > 1:
            for rank in range(self.count):
                dist.broadcast(values[contiguous_part(slice(0, len(values)), rank, self.count)], src=rank)

    def exchange(self, values: Tensor, sent: list[int], received: list[int]) -> Tensor:
        """Send the first `sent[0]` rows of `values` to process 0, the next `sent[1]` to process 1, and so on.

        Return the rows from all processes in the order of their ranks, `received[p]` from process p.
        """
        result = values.new_empty(sum(received), *values.shape[1:])
        dist.all_to_all_single(result, values, received, sent)
        return result

    def share_buffers(self, network: nn.Module) -> None:
        """Copy the first process's buffers of a network, such as batch norm statistics, to every process."""
        if self.count > 1:
            for buffer in network.buffers():
                dist.broadcast(buffer, src=0)

    def synchronize_batch_norm(self, network: Network, device: torch.device) -> Network:
        """Return `network` with batch norm over the images of all processes; one process leaves it as it is.

        Raises InputError on the CPU, for which torch has no such batch norm.
        """
        if self.count == 1:
            return network
        if device.type == "cpu":
            raise InputError(
                f"sync_batchnorm: {self.count} processes on the CPU cannot synchronize batch norm, as torch does it on"
                " GPUs only. Set sync_batchnorm to false, or resources.gpus to the GPUs of a node."
            )
        return convert_batch_norm(network)


def contiguous_part(whole: slice, number: int, count: int) -> slice:
    """Return part `number` of `count` contiguous parts of a slice, whose lengths differ by at most one."""
    bounds = np.linspace(whole.start, whole.stop, count + 1).round().astype(int)
    return slice(int(bounds[number]), int(bounds[number + 1]))


def convert_batch_norm(network: Network) -> Network:
    """Return `network` with each batch norm replaced by torch's SyncBatchNorm, with the same weights."""
    # torch's own conversion would drop the activation that timm's layers of batch norm contain.
    from timm.layers import norm_act

    converted: Network = norm_act.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]  # timm has no types
    return converted


@contextmanager
def process_group(gpus: int, nodes: int) -> Iterator[Processes]:
    """Join the processes that torchrun started, and leave them at the end. Without torchrun there is one process.

    `gpus` is the number of GPUs on each of `nodes` nodes. Raises InputError unless there is one process for each GPU,
    or on CPUs one for each node. On the CPU of one node, any number is right.
    """
    rank, count, local_rank = (
        int(os.environ.get(name, default)) for name, default in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0))
    )
    node_processes = max(gpus, 1)
    expected = nodes * node_processes
    if (gpus or nodes > 1) and count != expected:
        raise InputError(
            f"The recipe asks for {nodes} node(s) with {gpus} GPU(s) each, so {expected} processes, and there are"
            f" {count}. Start it by torchrun --nnodes={nodes} --nproc-per-node={node_processes} scripts/train.py ...,"
            " or change the model's resources.gpus and nodes."
        )
    if count == 1:
        yield Processes()
        return
    dist.init_process_group("nccl" if gpus else "gloo", timeout=TIMEOUT)
    try:
        yield Processes(rank, count, local_rank)
    finally:
        dist.destroy_process_group()
