"""The calls of CUDA that record a step, here of a device that runs what it would record."""

import inspect
from contextlib import contextmanager
from types import SimpleNamespace
from unittest import mock

import pytest
import torch

from melanoma.device.graphs import WARM_UPS, cuda_recorder

DEVICE = torch.device("cuda", 0)


class FakeCuda:
    """Streams by name, the current one, and for which other ones streams have waited."""

    def __init__(self, monkeypatch, breaks: bool = False) -> None:
        self.waits, self.breaks = [], breaks
        self.current = self.stream("main")
        arguments = inspect.signature(torch.cuda.graph)
        fakes = {
            "Stream": lambda device: self.stream("warm-up"),
            "stream": self.on_stream,
            "current_stream": lambda device: self.current,
            "CUDAGraph": lambda: SimpleNamespace(replay=lambda: "replayed"),
            "graph": lambda *args, **kwargs: arguments.bind(*args, **kwargs) and self.recording(),
            "graph_pool_handle": lambda: "pool",
        }
        for name, fake in fakes.items():
            monkeypatch.setattr(torch.cuda, name, fake)

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
        """Leave the stream of the recording only if it succeeds, as torch does where a recording cannot start."""
        before, self.current = self.current, self.stream("recording")
        yield
        if self.breaks:
            raise RuntimeError("operation failed due to a previous error during capture")
        self.current = before


def test_a_step_is_warmed_up_on_a_stream_of_its_own_and_then_recorded(monkeypatch):
    cuda, streams = FakeCuda(monkeypatch), []
    replay = cuda_recorder(DEVICE)(lambda: streams.append(cuda.current.name))
    assert streams == [*["warm-up"] * WARM_UPS, "recording"]
    assert cuda.waits == ["main", "warm-up"] and cuda.current.name == "main"
    assert replay() == "replayed"


def test_after_a_recording_that_fails_the_stream_is_as_before(monkeypatch):
    cuda = FakeCuda(monkeypatch, breaks=True)
    with pytest.raises(RuntimeError, match="during capture"):
        cuda_recorder(DEVICE)(lambda: None)
    assert cuda.current.name == "main"


def test_a_failure_leaves_the_random_numbers_of_earlier_recordings_alone(monkeypatch):
    """A recording draws by the state that torch's generator had then: in another state it would not see the seeds."""
    FakeCuda(monkeypatch, breaks=True)
    generator = mock.Mock(spec=torch.Generator)
    monkeypatch.setattr(torch.cuda, "default_generators", [generator])
    monkeypatch.setattr(torch, "Generator", mock.Mock())
    with pytest.raises(RuntimeError, match="during capture"):
        cuda_recorder(DEVICE)(lambda: None)
    assert not generator.method_calls


def test_after_a_warm_up_that_fails_the_gpu_first_ends_its_work(monkeypatch):
    """What the warm-up has changed is restored next, which must not run beside it."""
    cuda = FakeCuda(monkeypatch)

    def cannot() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        cuda_recorder(DEVICE)(cannot)
    assert cuda.waits == ["main", "warm-up"] and cuda.current.name == "main"
