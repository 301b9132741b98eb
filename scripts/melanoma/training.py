"""Training of one network by one recipe: exact to the bit however often it is killed and started again.

Nothing random has a state: an epoch's order, an image's augmentation and a step's dropout are functions of the recipe's
seed and of where training stands. So a checkpoint is weights, optimiser, best weights and counters, and a run that goes
on from it ends in the same bits as one that was never stopped, given the same number of threads.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.tensorboard import SummaryWriter

from melanoma.batches import Batch, EpochBatches, Examples, PredictionBatches, loader, to_device
from melanoma.checkpoint import Checkpoints
from melanoma.command import log, progress
from melanoma.encoder import MetadataEncoder
from melanoma.errors import InputError
from melanoma.files import sha256
from melanoma.metrics import auroc, average_precision
from melanoma.networks import build_network
from melanoma.randomness import derived_seed
from melanoma.store import ImageStore
from melanoma.tta import NO_TTA

HISTORY = (
    "epoch", "learning_rate", "train_loss", "validation_loss", "validation_auroc", "validation_average_precision",
)  # fmt: skip
PREDICTION_BATCH = 64


@dataclass(frozen=True)
class Run:
    """One training: by `recipe`, on the rows of `table`, judged after each epoch on `validation` where there is one."""

    recipe: dict[str, Any]
    table: pd.DataFrame
    validation: pd.DataFrame | None
    images: Path | None
    epochs: int
    threads: int

    def stamp(self) -> str:
        """Return a hash of all that decides the result: recipe, rows, image store, number of epochs."""
        rows = pd.util.hash_pandas_object(self.table, index=False).to_numpy().tobytes()
        held_out = b""
        if self.validation is not None:
            held_out = pd.util.hash_pandas_object(self.validation, index=False).to_numpy().tobytes()
        digest = ImageStore(self.images).digest if self.images is not None else ""
        recipe = {key: value for key, value in self.recipe.items() if key != "gpus"}
        parts = [json.dumps(recipe, sort_keys=True), sha256(rows), sha256(held_out), digest, str(self.epochs)]
        return sha256("\n".join(parts).encode())


def set_up_torch(threads: int) -> None:
    """Make torch compute the same bits each time, on `threads` CPU threads."""
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("error")


def device_of(recipe: dict[str, Any]) -> torch.device:
    """Return the device that the recipe asks for; raise InputError if it asks for a GPU and there is none."""
    if recipe["gpus"] == 0:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        job = os.environ.get("SLURM_JOB_ID") or os.environ.get("JOB_ID") or "none"
        raise InputError(
            f"The recipe asks for {recipe['gpus']} GPU(s), and torch sees none on {socket.gethostname()}"
            f" (scheduler job {job}, CUDA_VISIBLE_DEVICES={os.environ.get('CUDA_VISIBLE_DEVICES', 'not set')}). Ask the"
            " scheduler for a GPU, or set the model's resources.gpus to 0 to train on the CPU."
        )
    return torch.device("cuda")


def train(run: Run, checkpoints: Checkpoints, curves: Path | None) -> tuple[dict[str, Any], pd.DataFrame]:
    """Train and return the model, as `predict` reads it, and its history, one row per epoch.

    The model has the weights of the best epoch on the validation rows, or of the last where there are none.
    """
    trainer = Trainer(run, checkpoints)
    trainer.restore()
    with _writer(curves, trainer.state["epoch"]) as writer:
        for epoch in range(trainer.state["epoch"], run.epochs):
            trainer.train_epoch(epoch)
            report_epoch(trainer.finish_epoch(epoch), run.epochs, writer)
    return trainer.trained(), pd.DataFrame(trainer.state["history"], columns=HISTORY)


class Trainer:
    """One training on its way: network, optimiser, and `state`, which is where it stands and what it has found.

    `state` has the epoch and the batch to do next, the optimiser steps taken, the epoch's loss so far, the history, and
    the best weights.
    """

    def __init__(self, run: Run, checkpoints: Checkpoints) -> None:
        self.run, self.recipe, self.checkpoints = run, run.recipe, checkpoints
        self.device = device_of(self.recipe)
        self.workers = max(run.threads - 1, 1) if self.device.type == "cuda" else 0
        self.encoder = MetadataEncoder.fit(run.table)
        self.examples = self._examples(run.table)
        self.held_out = self._examples(run.validation) if run.validation is not None else None
        torch.manual_seed(derived_seed(self.recipe["seed"], 0))
        self.model = build_network(self.recipe, self.examples.seen, self.examples.metadata.shape[1])
        self.model.to(self.device, memory_format=torch.channels_last)
        settings = self.recipe["optimizer"]
        self.optimizer = torch.optim.Adam(
            self.model.parameters(), lr=settings["learning_rate"], weight_decay=settings["weight_decay"]
        )
        self.state: dict[str, Any] = {"epoch": 0, "batch": 0, "step": 0, "loss": 0.0, "history": [], "best": None}

    def restore(self) -> None:
        """Go on from the newest good checkpoint, where there is one."""
        found = self.checkpoints.load()
        if found is not None:
            self.model.load_state_dict(found.pop("model"))
            self.optimizer.load_state_dict(found.pop("optimizer"))
            self.state = found

    def train_epoch(self, epoch: int) -> None:
        """Train on the batches of an epoch that are left, with a checkpoint every so many."""
        batches = EpochBatches(self.examples, self.recipe, epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe, epoch)
        self.model.train()
        left = range(self.state["batch"], len(batches))
        loaded = loader(batches, left, self.workers, pinned=self.device.type == "cuda")
        label = f"epoch {epoch + 1} of {self.run.epochs}"
        for number, batch in zip(left, progress(loaded, label, len(left)), strict=True):
            step = self.state["step"] + 1
            loss = self._train_batch(batch, step)
            if not np.isfinite(loss):
                raise InputError(_not_finite(epoch, number, batches, self.run.table))
            self.state["loss"] += loss * len(batch.targets) / len(batches.order)
            self.state |= {"batch": number + 1, "step": step}
            if self.state["batch"] % self.recipe["checkpoint_batches"] == 0 and number + 1 < len(batches):
                self._save()

    def finish_epoch(self, epoch: int) -> dict[str, float]:
        """Judge the epoch, keep its weights if they are the best, save a checkpoint, and return the history's row."""
        row = {
            "epoch": epoch + 1,
            "learning_rate": learning_rate(self.recipe, epoch),
            "train_loss": self.state["loss"],
        }
        if self.held_out is not None:
            row |= judge(self.model, self.held_out, self.device, self.workers)
        self.state["history"].append(row)
        if self.held_out is None or is_best(self.state["history"], self.recipe["choose_epoch_by"]):
            weights = {name: tensor.detach().cpu().clone() for name, tensor in self.model.state_dict().items()}
            self.state["best"] = {"epoch": epoch + 1, "weights": weights}
        self.state |= {"epoch": epoch + 1, "batch": 0, "loss": 0.0}
        self._save()
        return row

    def trained(self) -> dict[str, Any]:
        """Return all that prediction needs: recipe, encoder, image size and the chosen epoch's weights."""
        best = self.state["best"]
        return {
            "recipe": self.recipe,
            "encoder": self.encoder.to_dict(),
            "size": self.examples.seen,
            "epoch": best["epoch"],
            "weights": best["weights"],
        }

    def _examples(self, table: pd.DataFrame) -> Examples:
        return Examples.of(table, self.encoder, self.run.images, self.recipe["input_size"])

    def _train_batch(self, batch: Batch, step: int) -> float:
        """Take one optimiser step and return the batch's mean loss; dropout is seeded by the step."""
        torch.manual_seed(derived_seed(self.recipe["seed"], 1, step))
        images, metadata, targets, _ = to_device(batch, self.device)
        loss = binary_cross_entropy_with_logits(self.model(images, metadata), targets)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def _save(self) -> None:
        model, optimizer = self.model.state_dict(), self.optimizer.state_dict()
        self.checkpoints.save(self.state | {"model": model, "optimizer": optimizer}, self.state["step"])


def learning_rate(recipe: dict[str, Any], epoch: int) -> float:
    """Return the learning rate of an epoch, counted from 0."""
    rate, schedule = recipe["optimizer"]["learning_rate"], recipe["schedule"]
    return rate if schedule["name"] == "constant" else rate * schedule["factor"] ** (epoch // schedule["every"])


def judge(model: nn.Module, held_out: Examples, device: torch.device, workers: int) -> dict[str, float]:
    """Return the loss, AUROC and average precision of the model on the validation rows."""
    logits = predict_logits(model, held_out, device, workers)
    targets = torch.from_numpy(held_out.targets)
    loss = binary_cross_entropy_with_logits(torch.from_numpy(logits), targets.double()).item()
    labels = held_out.targets.astype(np.int64)
    return {
        "validation_loss": loss,
        "validation_auroc": float(auroc(labels, logits)),
        "validation_average_precision": float(average_precision(labels, logits)),
    }


@torch.inference_mode()
def predict_logits(model: nn.Module, examples: Examples, device: torch.device, workers: int) -> NDArray[np.float64]:
    """Return the logits of all examples, shape (n,)."""
    model.eval()
    batches = PredictionBatches(examples, PREDICTION_BATCH, NO_TTA, {})
    logits = []
    for batch in progress(loader(batches, range(len(batches)), workers, device.type == "cuda"), "predicting"):
        images, metadata, _, _ = to_device(batch, device)
        logits.append(model(images, metadata).double().cpu().numpy())
    return np.concatenate(logits)


def is_best(history: list[dict[str, float]], choose_by: str) -> bool:
    """Tell whether the last epoch of `history` is better than all before; the first of equal ones is the best."""
    sign = -1 if choose_by == "loss" else 1
    values = [sign * row[f"validation_{choose_by}"] for row in history]
    return len(values) == 1 or values[-1] > max(values[:-1])


def best_epoch(history: pd.DataFrame, choose_by: str) -> int:
    """Return the number, from 1, of the best epoch of a fold's history."""
    column = history[f"validation_{choose_by}"]
    return int(history["epoch"].iloc[int(column.argmin() if choose_by == "loss" else column.argmax())])


def report_epoch(row: dict[str, float], epochs: int, writer: SummaryWriter | None) -> None:
    """Log one epoch's figures, to the log and to TensorBoard."""
    figures = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in row.items() if name != "epoch")
    log.info("epoch %d of %d: %s", row["epoch"], epochs, figures)
    if writer is not None:
        for name, value in row.items():
            writer.add_scalar(name, value, row["epoch"])
        writer.flush()


@contextmanager
def _writer(folder: Path | None, epoch: int) -> Iterator[SummaryWriter | None]:
    """Write TensorBoard's curves to `folder`; what an earlier run wrote of later epochs is hidden."""
    if folder is None:
        yield None
        return
    writer = SummaryWriter(folder, purge_step=epoch + 1)
    try:
        yield writer
    finally:
        writer.close()


def _not_finite(epoch: int, number: int, batches: EpochBatches, table: pd.DataFrame) -> str:
    names = table["image"].iloc[batches.order[batches.slices[number]]].tolist()
    return (
        f"The loss is not a finite number in epoch {epoch + 1}, batch {number + 1}. Lower optimizer.learning_rate, or"
        f" look at the images of the batch: {', '.join(names)}"
    )
