"""Scripts start quickly: they import no slow library that they may not need."""

import subprocess
import sys
from pathlib import Path

import pytest
import starts

from project import ROOT

# What is loaded before a script runs is never collected as garbage. Of these, that would be reported as a leak.
REPORTED = {"onnx", "triton"}
BACKBONES = REPORTED | {"timm", "torchvision", "resnest", "torch._dynamo", "sklearn", "imblearn"}


@pytest.mark.parametrize(
    ("script", "slow"),
    [
        ("train", BACKBONES),
        ("predict", BACKBONES),
        ("bundle", REPORTED),
        ("evaluate", {"scipy.stats", "sklearn", "torch"}),
        ("select_model", {"scipy.stats", "sklearn", "torch"}),
        ("plot", {"scipy.stats", "sklearn", "torch", "matplotlib.pyplot"}),
        ("write_report", {"scipy.sparse", "sklearn", "matplotlib", "torch"}),
        ("write_settings", {"pandas", "tqdm"}),
    ],
)
def test_a_script_loads_nothing_slow_that_it_may_not_need(script: str, slow: set[str]) -> None:
    code = f"import sys; sys.path.insert(0, 'scripts'); import {script}; print(*sorted({slow} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert loaded.stdout.split() == []


def test_the_benchmark_knows_the_script_and_the_jobs_of_each_rule(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "a.smk").write_text(
        'rule fold:\n    benchmark:\n        f"{LOGS}/train/{{run}}.tsv"\n'
        '    wildcard_constraints:\n        run="fold-[0-9]",\n    params:\n        **code("train"),\n'
        'if X:\n\n    rule plot:\n        benchmark:\n            f"{LOGS}/plot.tsv"\n        params:\n'
        '            **code("plot"),\n        shell:\n            "a && "\n            "b"\n'
        'use rule fold as refit with:\n    wildcard_constraints:\n        run="refit",\n'
    )
    (tmp_path / "train").mkdir()
    for name, seconds in (("train/fold-0", 1.5), ("train/fold-1", 2.5), ("train/refit", 9), ("plot", "NA")):
        (tmp_path / f"{name}.tsv").write_text(f"s\tcpu_time\n1\t{seconds}\n")
    assert starts.scripts_of(rules) == {"fold": ("train", 1), "plot": ("plot", 2), "refit": ("train", 1)}
    assert starts.jobs_of(tmp_path, rules) == {"fold": [1.5, 2.5], "plot": [0.0], "refit": [9.0]}


def test_the_steps_of_a_training_do_not_import_the_compiler() -> None:
    code = """
import sys
sys.path.insert(0, 'scripts')
import torch
from melanoma.config.optimization import Optimizer
from melanoma.training.optimizer import build_optimizer
for name in ('sgd', 'adam', 'adamw'):
    network = torch.nn.Linear(3, 1)
    optimizer = build_optimizer(network, Optimizer(name=name))
    network(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    optimizer.load_state_dict(optimizer.state_dict())
    assert 'torch._dynamo' not in sys.modules, name
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
