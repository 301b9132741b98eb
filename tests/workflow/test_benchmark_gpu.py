"""benchmarks/gpu.py compares the two ways of a device also on the CPU, and they agree there."""

from argparse import Namespace

import gpu
import pytest


@pytest.mark.large
def test_on_the_cpu_both_ways_agree(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "REPEATS", 2)
    page = tmp_path / "gpu.md"
    options = {"images": 2, "stored": 48, "sides": (48, 32), "precisions": ("float32",), "threads": 1}
    gpu.main(Namespace(device="cpu", output=page, cases=(gpu.Case("efficientnet_b0", 32, 4, "adamw"),), **options))
    rows = [line.split(" | ") for line in page.read_text().splitlines() if line.startswith("| ")]
    levels = {(row[0], row[1]): int(row[2]) for row in rows if row[0] in ("| turns", "| flips")}
    assert levels["| flips", "48 to 48"] == 0 and len(levels) == 4 and max(levels.values()) <= 1
    (step,) = (row for row in rows if row[0].startswith("| efficientnet_b0"))
    assert step[5:7] == ["gradients, update", "yes"]
