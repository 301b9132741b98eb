"""The device on which a network computes, set up to give the same bits each time."""

import os
import socket

import torch

from melanoma.common.errors import InputError
from melanoma.compute.memory import keep_freed_memory
from melanoma.compute.preemption import scheduler_job

# What the CPU, CUDA, cuBLAS and cuDNN say where memory is missing. torch has a class for its own allocations only.
OUT_OF_MEMORY = (
    "DefaultCPUAllocator: can't allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def set_up_torch(threads: int) -> None:
    """Make torch compute the same bits each time, on `threads` CPU threads, and use memory again that it freed."""
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    torch.set_num_threads(threads)
    keep_freed_memory()
    torch.set_deterministic_debug_mode("error")
    # Otherwise torch also writes NaN to all memory that it reserves for a result, before it writes the result.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # torch lacks its types


def compute_device(gpus: int, precision: str, local_rank: int = 0) -> torch.device:
    """Return the CPU if `gpus`, the number of GPUs of this node to use, is 0, and otherwise GPU number `local_rank`.

    Raises InputError if a GPU is missing, or if the device does not have the `precision`.
    """
    if gpus == 0:
        return torch.device("cpu")
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if local_rank >= available or gpus > available:
        raise InputError(
            f"The recipe asks for {gpus} GPU(s), and torch sees {available or 'none'} on {socket.gethostname()}"
            f" (scheduler job {scheduler_job() or 'none'},"
            f" CUDA_VISIBLE_DEVICES={os.environ.get('CUDA_VISIBLE_DEVICES', 'not set')}). Ask the scheduler for as"
            " many, or set the model's resources.gpus to the number that torch sees; 0 is the CPU."
        )
    # Some kernels have no deterministic form on a GPU. torch then warns with the name of the kernel.
    torch.set_deterministic_debug_mode("warn")
    device = torch.device("cuda", local_rank)
    torch.cuda.set_device(device)
    if precision == "bfloat16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        name = torch.cuda.get_device_name(device)
        raise InputError(f"The recipe's precision is bfloat16, which {name} does not have; set it to float32.")
    return device


def is_out_of_memory(error: RuntimeError) -> bool:
    """Tell whether an error of torch means that memory is missing, on a GPU or on the CPU."""
    return isinstance(error, torch.OutOfMemoryError) or any(text in str(error) for text in OUT_OF_MEMORY)
