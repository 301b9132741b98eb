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
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from melanoma.common.cli import log

# cuDNN, cuBLAS and autograd set themselves up in the first runs, which a graph must not record.
WARM_UPS = 2

Inputs = Sequence[Tensor | None]
Function = Callable[[Inputs, int], Tensor]
Call = Callable[[], None]
# Calls a function, which has its effect any number of times, and returns what repeats it on the same memory.
Record = Callable[[Call], Call]
Recording = TypeVar("Recording")


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
        static = self._static(function, inputs, images, seed)
        return _plain(function, inputs, images, seed) if static is None else static.run(inputs, seed)

    def _static(self, function: Function, inputs: Inputs, images: int, seed: int) -> _Static | None:
        """Return the recording for inputs of this kind, or None if there can be none."""
        assert inputs[-1] is not None
        kind = len(inputs[-1]), images
        if self.is_possible and kind not in self.recorded:
            static = _if_possible("the gradients", lambda: self._recording(function, inputs, images, seed))
            if static is None:
                self.is_possible = False
                self.recorded.clear()
            else:
                self.recorded[kind] = static
        return self.recorded.get(kind)

    def _recording(self, function: Function, inputs: Inputs, images: int, seed: int) -> _Static:
        """Return a recording for inputs of this kind. Raise RuntimeError if it differs from the function."""

        def plain() -> Tensor:
            return _plain(function, inputs, images, seed)

        def call() -> None:
            result.copy_(function(memory, images))

        memory = [None if values is None else values.clone() for values in inputs]
        result = self._outcome(plain)[0]
        with self._without_effect():
            static = _Static(memory, result, self.record(call))
        # A graph keeps its memory. Here there must be as much beside it, for parts of other sizes and for validation.
        ways = plain, lambda: static.run(inputs, seed)
        if not all(map(_agree, *map(self._outcome, ways))):
            raise RuntimeError("they are not those of the step itself")
        return static

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

    The function changes only given tensors, in their memory, and draws no random numbers. The recording is compared
    with the function once, before it is used. If any bit differs, the function is called, with numbers on the device
    all the same.
    """

    def __init__(self, record: Record, device: torch.device) -> None:
        self.record, self.device = record, device
        self.numbers: list[Tensor] = []
        self.is_possible = True
        self._replay: Call | None = None

    def __call__(
        self, function: Callable[[Sequence[Tensor]], None], changing: Iterable[Tensor], numbers: Sequence[float]
    ) -> None:
        """Call the function on the numbers, each as a float32 scalar. It changes the tensors `changing`.

        Function and tensors must be the same in all calls.
        """
        self.numbers = self.numbers or [torch.zeros((), device=self.device) for _ in numbers]
        for memory, number in zip(self.numbers, numbers, strict=True):
            memory.fill_(number)  # starts a kernel; a copy from the host would wait for the GPU
        if self._replay is not None:
            self._replay()
        elif self.is_possible:
            self._replay = self._first_call(lambda: function(self.numbers), [tensor.detach() for tensor in changing])
            self.is_possible = self._replay is not None
        else:
            function(self.numbers)

    def _first_call(self, call: Call, tensors: list[Tensor]) -> Call | None:
        """Call once, and return a recording of the call, or None if there can be none."""
        # The copies are on the host, because a large network leaves no memory for them on a GPU.
        before = _on_host(tensors)
        call()
        expected = _on_host(tensors)

        def recording() -> Call:
            replay = self.record(call)
            _restore(tensors, before)
            replay()
            if not all(_same(values, tensor.cpu()) for values, tensor in zip(expected, tensors, strict=True)):
                raise RuntimeError("it is not that of the step itself")
            return replay

        replay = _if_possible("the update of the weights", recording)
        if replay is None:
            _restore(tensors, expected)
        return replay


def _plain(function: Function, inputs: Inputs, images: int, seed: int) -> Tensor:
    torch.manual_seed(seed)
    return function(inputs, images)


def _if_possible(part: str, record: Callable[[], Recording]) -> Recording | None:
    """Return a recording, or None, with a warning, if there can be none.

    Memory for it can also be missing where there is enough for the step itself.
    """
    try:
        return record()
    except RuntimeError as error:
        # The end of a recording raises an error of its own after the one that broke it. The log gets the text alone,
        # because an error holds the memory of all that it has interrupted.
        cause = str(error.__context__ or error)
        log.warning("no CUDA graph of %s, so a GPU may wait for Python in each training step: %s", part, cause)
        return None


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
    side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch lacks its types

    def record(call: Call) -> Call:
        stream = torch.cuda.current_stream(device)
        side.wait_stream(stream)
        try:
            with torch.cuda.stream(side):
                for _ in range(WARM_UPS):
                    call()
        finally:
            stream.wait_stream(side)  # also if a call fails, because what it has changed is restored then
        graph = torch.cuda.CUDAGraph()
        # Threads that load batches may pin memory meanwhile, which the default mode forbids to all threads. A recording
        # that cannot start leaves its own stream as the current one, and the outer context does not.
        with torch.cuda.stream(stream), torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            call()
        replay: Call = graph.replay
        return replay

    return record
