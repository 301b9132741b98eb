"""Recordings as CUDA makes them, on the CPU: kernels and the memory that they read and write, without Python."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# What gives a number to Python. A GPU that is recorded cannot, because it computes nothing.
HOST_READS = ("_local_scalar_dense", "equal", "is_nonzero", "nonzero")


class Tape(TorchDispatchMode):
    """Notes the kernels that the body of a `with` starts."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Say no, or else torch imports its compiler, which takes more than a second."""
        return False

    def __torch_dispatch__(self, kernel, types, args=(), kwargs=None):
        if kernel.overloadpacket.__name__ in HOST_READS:
            raise RuntimeError(f"{kernel} is not permitted in a recording")
        result = kernel(*args, **(kwargs or {}))
        self.kernels.append((kernel, args, kwargs or {}, result))
        return result

    def replay(self) -> None:
        """Start the kernels again, on the same memory."""
        with torch._C._AutoDispatchBelowAutograd():
            for kernel, args, kwargs, result in self.kernels:
                for memory, value in zip(tree_leaves(result), tree_leaves(kernel(*args, **kwargs)), strict=True):
                    if isinstance(memory, torch.Tensor) and memory.data_ptr() != value.data_ptr():
                        memory.copy_(value)


class Recorder:
    """Warms up by two calls, and then records the third, whose effect is that of no call on a GPU.

    It was asked for `count` recordings. That of this number, from 1, ends in `error`, unless it is None.
    """

    def __init__(self, error: RuntimeError | None = None, number: int = 1) -> None:
        self.error, self.number, self.count = error, number, 0

    def __call__(self, call):
        self.count += 1
        call()
        call()
        if self.error is not None and self.count == self.number:
            raise self.error
        with Tape() as tape:
            call()
        return tape.replay
