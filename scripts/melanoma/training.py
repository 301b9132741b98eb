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

from melanoma.batches import EpochBatches, Examples, PlainBatches, loader, to_device
from melanoma.checkpoint import Checkpoints
from melanoma.command import log, progress
from melanoma.encoder import MetadataEncoder
from melanoma.errors import InputError
from melanoma.files import sha256
from melanoma.metrics import auroc, average_precision
from melanoma.networks import build_network
from melanoma.randomness import derived_seed
from melanoma.store import ImageStore

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
    recipe, device = run.recipe, device_of(run.recipe)
    encoder = MetadataEncoder.fit(run.table)
    examples = Examples.of(run.table, encoder, run.images, recipe["input_size"])
    held_out = None
    if run.validation is not None:
        held_out = Examples.of(run.validation, encoder, run.images, recipe["input_size"])
    torch.manual_seed(derived_seed(recipe["seed"], 0))
    model = build_network(recipe, examples.seen, examples.metadata.shape[1])
    model.to(device, memory_format=torch.channels_last)
    settings = recipe["optimizer"]
    optimizer = torch.optim.Adam(
        model.parameters(), lr=settings["learning_rate"], weight_decay=settings["weight_decay"]
    )

    state = {"epoch": 0, "batch": 0, "loss": 0.0, "history": [], "best": None}
    found = checkpoints.load()
    if found is not None:
        model.load_state_dict(found.pop("model"))
        optimizer.load_state_dict(found.pop("optimizer"))
        state = found
    workers = max(run.threads - 1, 1) if device.type == "cuda" else 0
    step = 0

    def save() -> None:
        checkpoints.save(state | {"model": model.state_dict(), "optimizer": optimizer.state_dict()}, step)

    with _writer(curves, state["epoch"]) as writer:
        for epoch in range(state["epoch"], run.epochs):
            batches = EpochBatches(examples, recipe, epoch)
            rate = learning_rate(recipe, epoch)
            for group in optimizer.param_groups:
                group["lr"] = rate
            model.train()
            left = range(state["batch"], len(batches))
            loaded = loader(batches, left, workers, pinned=device.type == "cuda")
            for number, batch in zip(left, progress(loaded, f"epoch {epoch + 1} of {run.epochs}"), strict=True):
                step = epoch * len(batches) + number + 1
                torch.manual_seed(derived_seed(recipe["seed"], 1, step))
                images, metadata, targets = to_device(batch, device)
                loss = binary_cross_entropy_with_logits(model(images, metadata), targets)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                value = loss.item()
                if not np.isfinite(value):
                    raise InputError(_not_finite(epoch, number, batches, run.table))
                state["loss"] += value * len(targets)
                state["batch"] = number + 1
                if state["batch"] % recipe["checkpoint_batches"] == 0 and state["batch"] < len(batches):
                    save()

            row = {"epoch": epoch + 1, "learning_rate": rate, "train_loss": state["loss"] / len(batches.order)}
            row |= judge(model, held_out, device, workers) if held_out is not None else {}
            state["history"].append(row)
            if held_out is None or is_best(state["history"], recipe["choose_epoch_by"]):
                weights = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
                state["best"] = {"epoch": epoch + 1, "weights": weights}
            state |= {"epoch": epoch + 1, "batch": 0, "loss": 0.0}
            save()
            report_epoch(row, run.epochs, writer)

    best = state["best"]
    trained = {
        "recipe": recipe,
        "encoder": encoder.to_dict(),
        "size": examples.seen,
        "epoch": best["epoch"],
        "weights": best["weights"],
    }
    return trained, pd.DataFrame(state["history"], columns=HISTORY)


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
    batches = PlainBatches(examples, PREDICTION_BATCH)
    logits = []
    for batch in progress(loader(batches, range(len(batches)), workers, device.type == "cuda"), "predicting"):
        images, metadata, _ = to_device(batch, device)
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
