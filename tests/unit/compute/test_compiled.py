"""A network that one job has compiled is not compiled again by another, and a bad file costs only that time."""

from types import SimpleNamespace

import pytest
import torch
from torch._dynamo.utils import counters

from melanoma.compute.compiled import CompiledCode


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Return a function that compiles a layer as a new job on another node, and returns what torch counted."""

    def run(name: str) -> dict[str, int]:
        monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / name))
        torch.compiler.reset()
        counters.clear()
        code = CompiledCode(tmp_path / "compiled", "a layer")
        code.load()
        # One product of matrices needs no C++ compiler.
        torch.compile(torch.nn.Linear(3, 2, bias=False))(torch.ones(4, 3)).sum().backward()
        code.keep()
        return dict(counters["inductor"])

    yield run
    torch.compiler.reset()


def test_a_job_on_another_node_compiles_nothing_again(job):
    assert job("first")["fxgraph_cache_miss"] == 2  # the forward and the backward pass
    second = job("second")
    assert second["fxgraph_cache_hit"] == 2 and "fxgraph_cache_miss" not in second


def test_a_damaged_file_is_not_used(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(torch.compiler, "load_cache_artifacts", lambda data: pytest.fail("a damaged file was used"))
    kept = CompiledCode(tmp_path, "a layer")
    compiled(monkeypatch, b"code", "a key")
    kept.keep()
    kept.path.write_bytes(kept.path.read_bytes()[:-1])
    CompiledCode(tmp_path, "a layer").load()
    assert "is damaged, so the network is compiled again" in caplog.text


def test_a_file_that_cannot_be_written_is_only_a_warning(tmp_path, caplog, monkeypatch):
    compiled(monkeypatch, b"code", "a key")
    (tmp_path / "no folder").touch()
    CompiledCode(tmp_path / "no folder", "a layer").keep()
    assert "other jobs will compile this network again" in caplog.text


def test_the_file_is_written_again_when_torch_has_compiled_more(tmp_path, monkeypatch):
    code = CompiledCode(tmp_path, "a layer")
    for content, keys, expected in ((b"1", "a", b"1"), (b"2", "a", b"1"), (b"3", "ab", b"3")):
        compiled(monkeypatch, content, *keys)
        code.keep()
        assert code.path.read_bytes().endswith(b"\n" + expected)


def test_each_network_has_a_file_of_its_own(tmp_path):
    assert CompiledCode(tmp_path, "a layer").path != CompiledCode(tmp_path, "another layer").path


def compiled(monkeypatch, content: bytes, *keys: str) -> None:
    info = SimpleNamespace(artifacts={"inductor": list(keys)})
    monkeypatch.setattr(torch.compiler, "save_cache_artifacts", lambda: (content, info))
