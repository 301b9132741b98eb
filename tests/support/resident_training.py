"""Trains the tiny study in several processes, whose devices hold the images as GPUs do."""

import os
from collections import Counter
from pathlib import Path

import pandas as pd
import torch

import tiny
from melanoma.compute.device import set_up_torch
from melanoma.compute.distributed import process_group
from melanoma.compute.preemption import Preemption
from melanoma.device.images import DeviceImages
from melanoma.device.resident import resident_if_they_fit
from melanoma.images.store import ImageStore
from melanoma.training import trainer
from melanoma.training.checkpoint import Checkpoints
from melanoma.training.trainer import Run, train


def train_ways(world: dict[str, object], folder: Path, ways: dict[str, list[int]]) -> None:
    """Train once for each way in one process of `world`, and save what came out.

    A way is the free memory of the device of each process, in bytes. The file WAY-RANK.pt has the weights, the history
    as text, and how often the store read each image.
    """
    os.environ.update({key: str(value) for key, value in world.items()})
    set_up_torch(1)
    reads, read = Counter(), ImageStore.read

    def counted(store, rows):
        reads.update(int(row) for row in rows)
        return read(store, rows)

    ImageStore.read = counted
    rows = pd.read_parquet(folder / "train.parquet")
    train_rows, validation_rows = (rows[part].reset_index(drop=True) for part in (rows["fold"] != 0, rows["fold"] == 0))
    run = Run(tiny.recipe(dropout=0.3, epochs=2), train_rows, validation_rows, folder / "images.h5", epochs=2)
    with process_group(gpus=0, nodes=1) as processes:
        for way, free in ways.items():
            reads.clear()
            trainer.device_images = lambda store, rows, device, processes, free=free[processes.rank]: DeviceImages(
                store, resident_if_they_fit(store, rows, device, free, processes)
            )
            trained, history = train(run, Checkpoints(folder / way, run.stamp()), None, Preemption(None), processes)
            result = {"weights": trained["weights"], "history": history.to_csv(), "reads": dict(reads)}
            torch.save(result, folder / f"{way}-{processes.rank}.pt")
