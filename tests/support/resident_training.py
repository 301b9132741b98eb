"""Trains the tiny study in several processes, whose devices hold the images as GPUs do."""

import os
import signal
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import tiny
from melanoma.compute.device import set_up_torch
from melanoma.compute.distributed import process_group
from melanoma.compute.preemption import Preemption
from melanoma.config.augmentation import TTA
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.device.images import DeviceImages, TrainingImages
from melanoma.device.placement import place_images
from melanoma.images.store import ImageStore
from melanoma.training import predictor, trainer
from melanoma.training.checkpoint import Checkpoints
from melanoma.training.learner import Learner
from melanoma.training.loader import Examples
from melanoma.training.prefetch import Prefetch
from melanoma.training.trainer import Run, train


def with_memory(free: int):
    """Return what gives a training its images on a device with so many free bytes that warps them, as a GPU does."""

    def device_images(store, rows, validated, device, processes):
        held = place_images(store, rows, validated, device, free, processes)
        return TrainingImages(*(DeviceImages(store, images) for images in held))

    return device_images


def train_ways(world: dict[str, object], folder: Path, ways: dict[str, list[int]], kill: int | None = None) -> None:
    """Train once for each way in one process of `world`, predict all images, and save what came out.

    A way is the free memory of the device of each process, in bytes. The file WAY-RANK.pt has the weights, the history
    as text, the logits, and how often the store read each image. The process after the first one kills itself before
    step `kill`.
    """
    os.environ.update({key: str(value) for key, value in world.items()})
    set_up_torch(1)
    reads, read, learn = Counter(), ImageStore.read, Learner.learn

    def counted(store, rows):
        reads.update(int(row) for row in rows)
        return read(store, rows)

    def killed(learner, batch, images, step, epoch):
        if step == kill and learner.processes.rank:
            os.kill(os.getpid(), signal.SIGKILL)
        return learn(learner, batch, images, step, epoch)

    ImageStore.read, Learner.learn = counted, killed
    predictor.VIEWS_AT_ONCE = 8
    rows = pd.read_parquet(folder / "train.parquet")
    train_rows, validation_rows = (rows[part].reset_index(drop=True) for part in (rows["fold"] != 0, rows["fold"] == 0))
    run = Run(tiny.recipe(dropout=0.3, epochs=2), train_rows, validation_rows, folder / "images.h5", 2, workers=1)
    with process_group(gpus=0, nodes=1) as processes:
        for way, free in ways.items():
            trainer.device_images = with_memory(free[processes.rank])
            reads.clear()
            trained, history = train(run, Checkpoints(folder / way, run.stamp()), None, Preemption(None), processes)
            result = {"weights": trained["weights"], "history": history.to_csv(), "reads": dict(reads)}
            examples = Examples.of(rows, MetadataEncoder.from_dict(trained["encoder"]), run.images, None)
            reads.clear()
            with Prefetch(1, pinned=False) as prefetch:
                cpu, columns = torch.device("cpu"), examples.metadata.shape[1]
                predict = predictor.restored(trained, columns, cpu, prefetch, processes).predict
                logits = predict(examples, TTA(name="dihedral"))[0]
            result |= {"logits": torch.from_numpy(np.asarray(logits)), "reads of prediction": dict(reads)}
            torch.save(result, folder / f"{way}-{processes.rank}.pt")
