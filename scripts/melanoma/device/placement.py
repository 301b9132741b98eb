"""Where the images of a training are: all on each GPU, a part on each GPU, or in the store, by what fits."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from melanoma.common.cli import log
from melanoma.compute.distributed import Processes
from melanoma.device.resident import ResidentImages
from melanoma.device.sharded import ShardedImages
from melanoma.images.store import ImageReader

# The network, its activations and the memory that they leave in pieces need the rest.
SHARE_OF_FREE_MEMORY = 0.4


class Placement(NamedTuple):
    """The images of training and of validation that this process's device holds. Without them, the store is read."""

    training: ResidentImages | ShardedImages | None = None
    validation: ResidentImages | None = None


def place_images(
    store: ImageReader,
    rows: NDArray[np.int64],
    validated: Sequence[NDArray[np.int64]],
    device: torch.device,
    free: int,
    processes: Processes,
) -> Placement:
    """Let the devices of all `processes` hold the images of the training `rows` and of validation, if they fit.

    Each device holds all of them, if they fit. Otherwise it holds its part of `rows`, and the images that its process
    evaluates; `validated` has the rows that each process evaluates. `free` bytes are free on this device; the device
    with the least memory decides for all. The log says which way, and why.
    """
    gigabytes = store.size**2 * 3 / 1e9
    room = SHARE_OF_FREE_MEMORY * min(processes.gather(free)) / 1e9
    every = np.unique(np.concatenate([rows, *validated]))
    part = -(-len(np.unique(rows)) // processes.count) + max(len(np.unique(own)) for own in validated)
    counts = f"{len(every)} images of {store.size} pixels need {len(every) * gigabytes:.2f} GB"
    if processes.count > 1:
        counts += f", a part for each of {processes.count} GPUs {part * gigabytes:.2f} GB"
    sizes = f"{counts}, {SHARE_OF_FREE_MEMORY:.0%} of the GPU's free memory are {room:.2f} GB"
    start = time.monotonic()
    if len(every) * gigabytes <= room:
        resident = ResidentImages.load(store, every, device, processes)
        log.info("the GPU holds the images, read in %.1f s: %s", time.monotonic() - start, sizes)
        return Placement(resident, resident)
    if processes.count > 1 and part * gigabytes <= room:
        shard = ShardedImages.load(store, rows, device, processes)
        validation = ResidentImages.load(store, validated[processes.rank], device, Processes())
        how = "each GPU holds a part of the images and gets the others of a batch from the other GPUs"
        log.info("%s, read in %.1f s: %s", how, time.monotonic() - start, sizes)
        return Placement(shard, validation)
    log.info("threads read the images from the store in each epoch: %s", sizes)
    return Placement()
