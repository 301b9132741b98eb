"""The calls of CUDA that record a step, here of a device that runs what it would record."""

import inspect
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

from melanoma.device.graphs import WARM_UPS, cuda_recorder

DEVICE = torch.device("cuda", 0)


class FakeCuda:
    """Streams by name, the current one, and what the generator of random numbers was given."""

    def __init__(self, monkeypatch, breaks: bool = False) -> None:
        self.waits, self.generator, self.breaks = [], None, breaks
        self.current = self.stream("main")
        arguments = inspect.signature(torch.cuda.graph)
        state = SimpleNamespace(graphsafe_get_state=lambda: "new state")
        fakes = {
            "Stream": lambda device: self.stream("warm-up"),
            "stream": self.on_stream,
            "current_stream": lambda device: self.current,
            "CUDAGraph": lambda: SimpleNamespace(replay=lambda: "replayed"),
            "graph": lambda *args, **kwargs: arguments.bind(*args, **kwargs) and self.recording(),
            "graph_pool_handle": lambda: "pool",
            "default_generators": [SimpleNamespace(graphsafe_set_state=lambda new: setattr(self, "generator", new))],
        }
        for name, fake in fakes.items():
            monkeypatch.setattr(torch.cuda, name, fake)
        monkeypatch.setattr(torch, "Generator", lambda device: state)

    def stream(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(name=name, wait_stream=lambda other: self.waits.append(other.name))

    @contextmanager
    def on_stream(self, stream):
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    @contextmanager
    def recording(self):
        """As torch does, leave the stream of the recording only if it succeeds."""
        before, self.current = self.current, self.stream("recording")
        yield
        if self.breaks:
            raise RuntimeError("operation failed due to a previous error during capture")
        self.current = before


def test_a_step_is_warmed_up_on_a_stream_of_its_own_and_then_recorded(monkeypatch):
    cuda, streams = FakeCuda(monkeypatch), []
    replay = cuda_recorder(DEVICE)(lambda: streams.append(cuda.current.name))
    assert streams == [*["warm-up"] * WARM_UPS, "recording"]
    assert cuda.waits == ["main", "warm-up"] and cuda.current.name == "main" and cuda.generator is None
    assert replay() == "replayed"


def test_after_a_recording_that_fails_stream_and_generator_are_as_before(monkeypatch):
    cuda = FakeCuda(monkeypatch, breaks=True)
    with pytest.raises(RuntimeError, match="during capture"):
        cuda_recorder(DEVICE)(lambda: None)
    assert cuda.current.name == "main" and cuda.generator == "new state"
