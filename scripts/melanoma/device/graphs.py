"""A part of a training step as a CUDA graph: its kernels are recorded once, and then started by a single launch.

A small batch is over before Python has launched the next kernel, so a GPU would wait for Python. The batches of a
training have at most two sizes, and their parts at most four. Each gets a graph of its own, instead of one graph for
padded batches, because rows of padding would change the statistics of batch norm.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from melanoma.common.cli import log
from melanoma.compute.device import is_out_of_memory

# cuDNN, cuBLAS and autograd set themselves up in the first runs, which a graph must not record.
WARM_UPS = 2

Inputs = Sequence[Tensor | None]
Function = Callable[[Inputs, int], Tensor]


class Recording(NamedTuple):
    """A recorded call: `replay` repeats it on what is now in the memory of its inputs, and writes `result` again."""

    replay: Callable[[], None]
    result: Tensor


Record = Callable[[Callable[[], Tensor]], Recording]


class _Static(NamedTuple):
    inputs: list[Tensor | None]
    recording: Recording


class StepGraphs:
    """Calls a function as it is, or as a recording that has its inputs always in the same memory.

    The function takes inputs on the device, of which the last one is never None, and the number of images of the whole
    batch. It adds gradients to those of `network`, and returns a scalar without a gradient. It may change nothing else
    but buffers of the network. The gradients must stay in their memory: set them to zero, and not to None. If other
    parameters learn, other kernels are needed, and so are other graphs.
    """

    def __init__(self, network: nn.Module, record: Record) -> None:
        self.network, self.record = network, record
        self.recorded: dict[tuple[int, int], _Static] = {}
        self.is_possible = True

    def __call__(self, function: Function, inputs: Inputs, images: int, seed: int) -> Tensor:
        """Return the result of the function, with torch's random numbers from `seed`, until the next call.

        The function must be the same in all calls.
        """
        static = self._static(function, inputs, images) if self.is_possible else None
        if static is None:
            torch.manual_seed(seed)
            return function(inputs, images)
        for memory, values in zip(static.inputs, inputs, strict=True):
            if memory is not None and values is not None:
                memory.copy_(values)
        torch.manual_seed(seed)
        static.recording.replay()
        return static.recording.result

    def _static(self, function: Function, inputs: Inputs, images: int) -> _Static | None:
        """Return the recording for inputs of this kind, or None if there can be none."""
        assert inputs[-1] is not None
        kind = len(inputs[-1]), images
        if kind not in self.recorded:
            memory = [None if values is None else values.clone() for values in inputs]
            try:
                recording = self._without_effect(lambda: function(memory, images))
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise
                # The end of a recording raises an error of its own after the one that broke the recording.
                cause = error.__context__ or error
                log.warning("no CUDA graph of the training step, so a GPU may wait for Python in each step: %s", cause)
                self.is_possible = False
                self.recorded.clear()
                return None
            self.recorded[kind] = _Static(memory, recording)
        return self.recorded[kind]

    def _without_effect(self, call: Callable[[], Tensor]) -> Recording:
        """Record a call, and restore the buffers and gradients that its warm-up changed."""
        parameters = list(self.network.parameters())
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        before = [(tensor, tensor.clone()) for tensor in (*self.network.buffers(), *gradients)]
        try:
            return self.record(call)
        finally:
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.grad.zero_()
            for tensor, values in before:
                tensor.copy_(values)


def cuda_recorder(device: torch.device) -> Record:
    """Return a function that warms up and records a call on a GPU. Its graphs share their memory."""
    pool = torch.cuda.graph_pool_handle()

    def record(call: Callable[[], Tensor]) -> Recording:
        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch lacks its types
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                call()
        torch.cuda.current_stream(device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        try:
            # Threads that load batches may pin memory meanwhile, which the default mode forbids to all threads. A
            # recording that fails leaves its own stream as the current one, and the outer context does not.
            with (
                torch.cuda.stream(torch.cuda.current_stream(device)),
                torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"),
            ):
                result = call()
        except RuntimeError:
            _release_generator(device)
            raise
        return Recording(graph.replay, result)

    return record


def _release_generator(device: torch.device) -> None:
    """Give torch's generator a new state: after a recording that failed, the old one still expects to be recorded."""
    generator = torch.cuda.default_generators[device.index]
    generator.graphsafe_set_state(torch.Generator(device).graphsafe_get_state())
