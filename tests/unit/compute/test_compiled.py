"""A network that one job has compiled is not compiled again by another, and a bad file costs only that time."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from melanoma.compute.compiled import CompiledCode
from project import ROOT

# Two jobs with a folder each for torch's own files. One product of matrices needs no C++ compiler.
JOBS = """
import os, sys
from pathlib import Path
sys.path.insert(0, 'scripts')
import torch
from torch._dynamo.utils import counters
from melanoma.compute.compiled import CompiledCode
for name in ('first', 'second'):
    os.environ['TORCHINDUCTOR_CACHE_DIR'] = str(Path(sys.argv[1], name))
    torch.compiler.reset()
    counters.clear()
    code = CompiledCode(Path(sys.argv[1], 'compiled'), 'a layer')
    code.load()
    torch.compile(torch.nn.Linear(3, 2, bias=False))(torch.ones(4, 3)).sum().backward()
    code.keep()
    print(*(counters['inductor'][f'fxgraph_cache_{result}'] for result in ('miss', 'hit')))
"""


@pytest.mark.large
def test_a_job_on_another_node_compiles_nothing_again(tmp_path):
    command = [sys.executable, "-c", JOBS, str(tmp_path)]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    # Both the forward and the backward pass.
    assert printed.splitlines() == ["2 0", "0 2"]


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
