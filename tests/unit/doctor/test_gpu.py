"""The GPU: no driver, a driver that is too old, too few GPUs, a GPU that cannot compute, little shared memory."""

import warnings
from collections import namedtuple

import pytest
import torch

from fake_commands import FakeCommands
from melanoma.common.errors import InputError
from melanoma.compute.device import compute_device
from melanoma.doctor import gpu
from melanoma.doctor.gpu import check_gpus, training_step

CARD = "NVIDIA A100, 470.57.02, 40960 MiB\n"


@pytest.fixture
def card(tmp_path, monkeypatch):
    """A machine whose driver and torch report one A100, and whose training steps succeed."""
    FakeCommands(tmp_path / "bin", monkeypatch).says("nvidia-smi", CARD)
    monkeypatch.setattr(torch.version, "cuda", "13.2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(gpu, "compute_device", lambda gpus, precision, number: torch.device("cpu"))
    monkeypatch.setattr(gpu, "training_step", lambda device, precision: 0.7)


def test_a_step_of_training_in_both_precisions_is_the_check(card):
    found = check_gpus(1, {"float32"})
    assert [finding.level for finding in found] == ["ok", "ok"] and "A100" in found[0].text
    assert "float32 and bfloat16" in found[1].text


def test_a_step_lowers_the_loss():
    for precision in gpu.PRECISIONS.values():
        assert 0 < training_step(torch.device("cpu"), precision) < 0.8


def test_a_machine_without_a_driver(tmp_path, monkeypatch):
    FakeCommands(tmp_path / "bin", monkeypatch).says("nvidia-smi", "couldn't communicate with the driver", code=9)
    (finding,) = check_gpus(1, {"float32"})
    assert finding.level == "FAULT" and "couldn't communicate" in finding.text and "inside a GPU job" in finding.cure


def test_pytorch_without_cuda(card, monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    (finding,) = check_gpus(1, {"float32"})
    assert "built without CUDA" in finding.text and "CONDA_OVERRIDE_CUDA" in finding.cure


def test_a_driver_that_is_too_old(card, monkeypatch):
    def too_old():
        warnings.warn("The NVIDIA driver on your system is too old", stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", too_old)
    (finding,) = check_gpus(1, {"float32"})
    assert finding.level == "FAULT" and "too old" in finding.text and "driver of CUDA 13.2" in finding.cure


def test_fewer_gpus_than_the_study_asks_for(card, monkeypatch):
    monkeypatch.setattr(gpu, "compute_device", compute_device)
    finding = check_gpus(2, {"float32"})[1]
    assert finding.level == "FAULT" and "asks for 2 GPU(s), and torch sees 1" in finding.text
    assert "resources.gpus" in finding.cure


def test_a_gpu_without_bfloat16_is_a_fault_only_where_a_model_needs_it(card, monkeypatch):
    def device(gpus, precision, number):
        if precision == "bfloat16":
            raise InputError("The recipe's precision is bfloat16, which V100 does not have; set it to float32.")
        return torch.device("cpu")

    monkeypatch.setattr(gpu, "compute_device", device)
    assert [finding.level for finding in check_gpus(1, {"float32"})] == ["ok", "ok", "warning"]
    finding = check_gpus(1, {"bfloat16"})[-1]
    assert finding.level == "FAULT" and "set it to float32" in finding.text


@pytest.mark.parametrize("loss", [float("nan"), "CUDA error: no kernel image is available for execution"])
def test_a_gpu_that_cannot_compute(card, monkeypatch, loss):
    def step(device, precision):
        if isinstance(loss, str):
            raise RuntimeError(loss)
        return loss

    monkeypatch.setattr(gpu, "training_step", step)
    finding = check_gpus(1, {"float32"})[1]
    assert finding.level == "FAULT" and str(loss) in finding.text and "take another node" in finding.cure


def test_shared_memory_is_checked_where_several_gpus_use_it(card, monkeypatch):
    monkeypatch.setattr(gpu.shutil, "disk_usage", lambda path: namedtuple("Usage", "free")(2**26))
    assert check_gpus(1, {"float32"})[-1].subject == "GPU 0"
    finding = check_gpus(2, {"float32"})[-1]
    assert finding.level == "warning" and "/dev/shm has 64 MB free" in finding.text and "--shm-size" in finding.cure
