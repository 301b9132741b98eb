"""A training step as CUDA graphs: kernels are recorded once, and then started by a single launch.

A small batch is over before Python has launched the next kernel, so a GPU would wait for Python. The gradients of each
part of a batch are one launch, and the update of the weights is another. Python does little between them, so it is
ready with the next launch long before the GPU is.

The batches of a training have at most two sizes, and their parts at most four. Each gets a graph of its own, instead of
one graph for padded batches, because rows of padding would change the statistics of batch norm. All share the graph of
the update.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from melanoma.common.cli import log
from melanoma.compute.device import is_out_of_memory

# cuDNN, cuBLAS and autograd set themselves up in the first runs, which a graph must not record.
WARM_UPS = 2

Inputs = Sequence[Tensor | None]
Function = Callable[[Inputs, int], Tensor]
Call = Callable[[], None]
# Calls a function, which has its effect any number of times, and returns what repeats it on the same memory.
Record = Callable[[Call], Call]


class _Static(NamedTuple):
    inputs: list[Tensor | None]
    result: Tensor
    replay: Call

    def run(self, inputs: Inputs, seed: int) -> Tensor:
        """Repeat the recording with other inputs."""
        for memory, values in zip(self.inputs, inputs, strict=True):
            if memory is not None and values is not None:
                memory.copy_(values)
        torch.manual_seed(seed)
        self.replay()
        return self.result


class StepGraphs:
    """Calls a function as it is, or as a recording that has its inputs always in the same memory.

    The function takes inputs on the device, of which the last one is never None, and the number of images of the whole
    batch. It adds gradients to those of `network`, and returns a tensor without a gradient. It may change nothing else
    but buffers of the network. The gradients must stay in their memory: set them to zero, and not to None. If other
    parameters learn, other kernels are needed, and so are other graphs.

    Each recording is compared with the function once, before it is used. If they differ, the function is called.
    """

    def __init__(self, network: nn.Module, record: Record) -> None:
        self.network, self.record = network, record
        self.recorded: dict[tuple[int, int], _Static] = {}
        self.is_possible = True

    def __call__(self, function: Function, inputs: Inputs, images: int, seed: int) -> Tensor:
        """Return the result of the function, with torch's random numbers from `seed`, until the next call.

        The function must be the same in all calls.
        """
        static = self._static(function, inputs, images, seed) if self.is_possible else None
        if static is None:
            torch.manual_seed(seed)
            return function(inputs, images)
        return static.run(inputs, seed)

    def _static(self, function: Function, inputs: Inputs, images: int, seed: int) -> _Static | None:
        """Return the recording for inputs of this kind, or None if there can be none."""
        assert inputs[-1] is not None
        kind = len(inputs[-1]), images
        if kind not in self.recorded:
            torch.manual_seed(seed)
            expected = self._outcome(lambda: function(inputs, images))
            memory = [None if values is None else values.clone() for values in inputs]
            result = torch.empty_like(expected[0])

            def call() -> None:
                result.copy_(function(memory, images))

            with self._without_effect():
                replay = _recorded(self.record, call, "the gradients")
            if replay is None:
                self._give_up()
                return None
            static = _Static(memory, result, replay)
            if not all(map(_agree, expected, self._outcome(lambda: static.run(inputs, seed)))):
                _warn("the gradients", "they are not those of the step itself")
                self._give_up()
                return None
            self.recorded[kind] = static
        return self.recorded[kind]

    def _give_up(self) -> None:
        self.is_possible = False
        self.recorded.clear()

    def _outcome(self, call: Callable[[], Tensor]) -> list[Tensor]:
        """Return the result, the gradients and the buffers that a call leaves, and restore those before it."""
        with self._without_effect():
            result = call()
            gradients = [each.grad for each in self.network.parameters() if each.grad is not None]
            return [tensor.detach().clone() for tensor in (result, *gradients, *self.network.buffers())]

    @contextmanager
    def _without_effect(self) -> Iterator[None]:
        """Restore the buffers and the gradients that the body changes."""
        parameters = list(self.network.parameters())
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        before = [(tensor, tensor.clone()) for tensor in (*self.network.buffers(), *gradients)]
        try:
            yield
        finally:
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.grad.zero_()
            for tensor, values in before:
                tensor.copy_(values)


class UpdateGraph:
    """Calls a function of some numbers as it is, or as a recording that reads the numbers from the device.

    The function changes only tensors that `changing` returns, in their memory, and draws no random numbers. After the
    first call these must stay the same tensors. The recording is compared with the function once, before it is used.
    If any bit differs, the function is called, with numbers on the device all the same.
    """

    def __init__(self, changing: Callable[[], Iterable[Tensor]], record: Record, device: torch.device) -> None:
        self.changing, self.record, self.device = changing, record, device
        self.numbers: list[Tensor] = []
        self.is_possible = True
        self._call: Call | None = None

    def __call__(self, function: Callable[[Sequence[Tensor]], None], numbers: Sequence[float]) -> None:
        """Call the function on the numbers, each as a float32 scalar. It must be the same in all calls."""
        if self._call is None:
            self.numbers = [torch.zeros((), device=self.device) for _ in numbers]
        for memory, number in zip(self.numbers, numbers, strict=True):
            memory.fill_(number)  # starts a kernel; a copy from the host would wait for the GPU
        if self._call is None:
            self._call = self._first_call(lambda: function(self.numbers))
        else:
            self._call()

    def _first_call(self, call: Call) -> Call:
        """Call once, and return a recording of the call, or the call itself if there is no such recording."""
        # The copies are on the host, because a large network leaves no memory for them on a GPU.
        tensors = [tensor.detach() for tensor in self.changing()]
        before = _on_host(tensors)
        call()
        expected = _on_host(tensors)
        _restore(tensors, before)
        replay = _recorded(self.record, call, "the update of the weights")
        if replay is not None:
            _restore(tensors, before)
            replay()
            if all(map(_same, expected, _on_host(tensors))):
                return replay
            _warn("the update of the weights", "it is not that of the step itself")
        self.is_possible = False
        _restore(tensors, expected)
        return call


def _recorded(record: Record, call: Call, part: str) -> Call | None:
    """Return a recording of the call, or None, with a warning, if it cannot be recorded."""
    try:
        return record(call)
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        # The end of a recording raises an error of its own after the one that broke the recording.
        _warn(part, error.__context__ or error)
        return None


def _warn(part: str, cause: object) -> None:
    log.warning("no CUDA graph of %s, so a GPU may wait for Python in each training step: %s", part, cause)


def _on_host(tensors: list[Tensor]) -> list[Tensor]:
    return [tensor.to("cpu", copy=True) for tensor in tensors]


def _restore(tensors: list[Tensor], values: list[Tensor]) -> None:
    for tensor, value in zip(tensors, values, strict=True):
        tensor.copy_(value)


def _same(one: Tensor, other: Tensor) -> bool:
    """Tell whether two tensors are equal; NaN is equal to itself."""
    return torch.equal(one, other) or torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)


def _agree(one: Tensor, other: Tensor) -> bool:
    """Tell whether two tensors are equal up to the rounding of bfloat16."""
    return torch.allclose(one.double(), other.double(), rtol=0, atol=0.01 * float(one.abs().max() + 1e-6))


def cuda_recorder(device: torch.device) -> Record:
    """Return a function that warms up and records a call on a GPU. Its graphs share their memory."""
    pool = torch.cuda.graph_pool_handle()

    def record(call: Call) -> Call:
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
                call()
        except RuntimeError:
            _release_generator(device)
            raise
        replay: Call = graph.replay
        return replay

    return record


def _release_generator(device: torch.device) -> None:
    """Give torch's generator a new state: after a recording that failed, the old one still expects to be recorded."""
    generator = torch.cuda.default_generators[device.index]
    generator.graphsafe_set_state(torch.Generator(device).graphsafe_get_state())
