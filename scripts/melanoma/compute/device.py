"""Where a network computes: the device that its recipe asks for, set up to give the same bits each time."""

import os
import socket
from typing import Any

import torch

from melanoma.common.errors import InputError
from melanoma.compute.preemption import scheduler_job


def set_up_torch(threads: int) -> None:
    """Make torch compute the same bits each time, on `threads` CPU threads."""
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("error")


def device_of(recipe: dict[str, Any], local: int = 0) -> torch.device:
    """Return the device that the recipe asks for: the CPU, or the GPU number `local` of those this job was given.

    Raises InputError if it asks for a GPU that is not there, or for a precision that the device does not have.
    """
    if recipe["gpus"] == 0:
        return torch.device("cpu")
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if local >= found or recipe["gpus"] > found:
        raise InputError(
            f"The recipe asks for {recipe['gpus']} GPU(s), and torch sees {found or 'none'} on {socket.gethostname()}"
            f" (scheduler job {scheduler_job() or 'none'},"
            f" CUDA_VISIBLE_DEVICES={os.environ.get('CUDA_VISIBLE_DEVICES', 'not set')}). Ask the scheduler for as"
            " many, or set the model's resources.gpus to what there is, 0 to train on the CPU."
        )
    # A few kernels exist in no deterministic form on a GPU; torch then says which one a network needs, and goes on.
    torch.set_deterministic_debug_mode("warn")
    device = torch.device("cuda", local)
    torch.cuda.set_device(device)
    if recipe["precision"] == "bfloat16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        name = torch.cuda.get_device_name(device)
        raise InputError(f"The recipe's precision is bfloat16, which {name} does not have; set it to float32.")
    return device


def out_of_memory(error: RuntimeError) -> bool:
    """Tell whether an error of torch is about memory that could not be had, on a GPU or on the CPU."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator: can't allocate memory" in str(error)
