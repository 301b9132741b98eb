"""The GPU: driver, CUDA, and one training step of a small network in each precision."""

import math
import shutil
import warnings
from collections.abc import Collection
from pathlib import Path

import torch
from torch import nn

from melanoma.common.errors import InputError
from melanoma.compute.device import compute_device
from melanoma.doctor.answers import NoAnswer, answer
from melanoma.doctor.findings import Finding, fault, ok, warning

SUBJECT = "GPU"
SHARED_MEMORY = "/dev/shm"
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
QUERY = ("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader")
NODE = "run on a node with a GPU (on a cluster, inside a GPU job), or set resources.gpus to 0 in the study"


def check_gpus(gpus: int, required: Collection[str]) -> list[Finding]:
    """Compute one training step on each of `gpus` GPUs of this machine, at least 1.

    A GPU without one of the `required` precisions is a fault, without another one a warning.
    """
    try:
        cards = answer(*QUERY).strip().splitlines()
    except NoAnswer as error:
        return [fault(SUBJECT, f"no NVIDIA driver answers: {error}", NODE)]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    built = f"PyTorch {torch.__version__}"
    if torch.version.cuda is None:
        cure = "`make install` installs PyTorch with CUDA; for conda, set CONDA_OVERRIDE_CUDA on the login node"
        return [fault(SUBJECT, f"{built} was built without CUDA", cure)]
    if not available:
        reason = " ".join(str(each.message).partition(" (Triggered")[0] for each in said) or "it does not say why"
        cure = (
            f"ask for a driver of CUDA {torch.version.cuda}, or install PyTorch for an older CUDA:"
            " https://pytorch.org/get-started; check CUDA_VISIBLE_DEVICES"
        )
        return [fault(SUBJECT, f"{built} cannot use {cards[0]}: {reason}", cure)]
    findings = [ok(SUBJECT, f"{'; '.join(cards)}; PyTorch for CUDA {torch.version.cuda}")]
    findings += [finding for number in range(gpus) for finding in _steps(gpus, number, required)]
    return [*findings, *(_shared_memory() if gpus > 1 else [])]


def training_step(device: torch.device, precision: torch.dtype) -> float:
    """Return the loss of a small network on `device` after one step of its training."""
    torch.manual_seed(0)
    images, labels = torch.rand(8, 3, 32, 32, device=device), torch.arange(8.0, device=device) % 2
    layers = (nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1))
    network = nn.Sequential(*layers).to(device)
    optimizer = torch.optim.AdamW(network.parameters())
    losses = []
    for _ in range(2):
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            loss = nn.functional.binary_cross_entropy_with_logits(network(images).squeeze(1).float(), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        optimizer.step()
        losses.append(loss.item())
    return losses[-1]


def _steps(gpus: int, number: int, required: Collection[str]) -> list[Finding]:
    subject = f"{SUBJECT} {number}"
    findings: list[Finding] = []
    works: list[str] = []
    for name, precision in PRECISIONS.items():
        try:
            loss = training_step(compute_device(gpus, name, number), precision)
        except InputError as error:
            level = fault if name in required or not works else warning
            findings.append(level(subject, str(error), NODE))
            continue
        except RuntimeError as error:
            return [_broken(subject, f"a training step in {name} fails: {str(error).strip().splitlines()[0]}")]
        if not math.isfinite(loss):
            return [_broken(subject, f"a training step in {name} gives the loss {loss}")]
        works.append(name)
    return [ok(subject, f"a training step works in {' and '.join(works)}"), *findings] if works else findings[:1]


def _broken(subject: str, text: str) -> Finding:
    cure = (
        "take another node, and report this one; if no kernel image is available, the GPU is too old for this"
        " PyTorch: ask for a newer model, or install an older PyTorch; if memory is missing, another program has it"
    )
    return fault(subject, text, cure)


def _shared_memory() -> list[Finding]:
    """Check what NCCL needs where several GPUs of a node train together. One GPU needs none: threads load batches."""
    free = shutil.disk_usage(SHARED_MEMORY).free if Path(SHARED_MEMORY).is_dir() else 0
    if free >= 2**29:
        return []
    text = f"{SHARED_MEMORY} has {free / 2**20:.0f} MB free, and several GPUs of a node exchange gradients there"
    return [warning("shared memory", text, "in a container, raise it to 1 GB (docker: --shm-size=1g)")]
