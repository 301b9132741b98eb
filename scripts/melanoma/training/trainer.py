"""Training of one network by one recipe: exact to the bit however often it is killed and started again.

Nothing random has a state: an epoch's order, an image's augmentation and a step's dropout are functions of the recipe's
seed and of where training stands. So a checkpoint is weights, optimizer, best weights and counters, and a run that goes
on from it ends in the same bits as one that was never stopped, given the same number of threads and processes.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils.tensorboard import SummaryWriter

from melanoma.common.cli import log, progress
from melanoma.common.errors import InputError
from melanoma.common.files import sha256
from melanoma.common.rng import derived_seed
from melanoma.compute.device import device_of, out_of_memory
from melanoma.compute.distributed import Processes, synchronize_batch_norm
from melanoma.compute.preemption import Preempted, Preemption
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.images.store import ImageStore
from melanoma.models.classifier import build_network
from melanoma.models.pretrained import start_from_pretrained, weights_digest
from melanoma.training.checkpoint import Checkpoints
from melanoma.training.early_stopping import is_best, stops_early
from melanoma.training.ema import WeightAverage
from melanoma.training.loader import Batch, EpochBatches, Examples, diagnosis_classes, loader, to_device
from melanoma.training.losses import build_loss, diagnosis_loss
from melanoma.training.optimizer import build_optimizer, clip, set_rates
from melanoma.training.predictor import Predictor
from melanoma.training.sampling import epoch_order, trained_prevalence
from melanoma.training.schedules import rate_factor

HISTORY = (
    "epoch", "learning_rate", "train_loss", "validation_loss", "validation_auroc", "validation_average_precision",
)  # fmt: skip
# How a training is computed, which a recipe is given when it is run: it decides no result.
COMPUTING = ("gpus", "nodes", "checkpoint_batches", "checkpoint_minutes")


@dataclass(frozen=True)
class Run:
    """One training: by `recipe`, on the rows of `table`, evaluated after each epoch on `validation` where there is one.

    `workers` processes load the batches; 0 loads them in between.
    """

    recipe: dict[str, Any]
    table: pd.DataFrame
    validation: pd.DataFrame | None
    images: Path | None
    epochs: int
    workers: int = 0

    def stamp(self) -> str:
        """Return a hash of all that decides the result: recipe, pretrained weights, rows, images, number of epochs."""
        rows = pd.util.hash_pandas_object(self.table, index=False).to_numpy().tobytes()
        held_out = b""
        if self.validation is not None:
            held_out = pd.util.hash_pandas_object(self.validation, index=False).to_numpy().tobytes()
        digest = ImageStore(self.images).digest if self.images is not None else ""
        recipe = {key: value for key, value in self.recipe.items() if key not in COMPUTING}
        parts = [json.dumps(recipe, sort_keys=True), weights_digest(recipe), sha256(rows), sha256(held_out), digest]
        return sha256("\n".join([*parts, str(self.epochs)]).encode())


def train(
    run: Run, checkpoints: Checkpoints, curves: Path | None, preemption: Preemption, processes: Processes
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Train and return the model, as prediction reads it, and its history, one row per epoch.

    The model has the weights of the best epoch on the validation rows, or of the last where there are none. Raises
    Preempted, after a checkpoint, when `preemption` says so.
    """
    trainer = Trainer(run, checkpoints, preemption, processes)
    trainer.restore()
    with _writer(curves if processes.first else None, trainer.state["epoch"]) as writer:
        for epoch in range(trainer.state["epoch"], run.epochs):
            if trainer.stops_early():
                log.info("no better epoch in %d: stopping early", run.recipe["early_stopping_patience"])
                break
            trainer.train_epoch(epoch)
            report_epoch(trainer.finish_epoch(epoch), run.epochs, writer)
    return trainer.trained(), pd.DataFrame(trainer.state["history"], columns=HISTORY)


class Trainer:
    """One training on its way: network, optimizer, and `state`, which is where it stands and what it has found.

    `state` has the epoch and the batch to do next, the optimizer steps taken, the epoch's loss so far, the history, and
    the best weights.
    """

    def __init__(self, run: Run, checkpoints: Checkpoints, preemption: Preemption, processes: Processes) -> None:
        self.run, self.recipe, self.checkpoints = run, run.recipe, checkpoints
        self.preemption, self.processes = preemption, processes
        self.device = device_of(self.recipe, processes.local)
        self.encoder = MetadataEncoder.fit(run.table)
        self.diagnoses = diagnosis_classes(run.table) if self.recipe["aux_loss_weight"] else ()
        self.examples = self._examples(run.table)
        self.held_out = self._examples(run.validation) if run.validation is not None else None
        targets = self.examples.targets.astype(np.int64)
        _check_batch(self.recipe, targets)
        self.loss = build_loss(self.recipe["loss"], targets)
        self.trained_prevalence = trained_prevalence(targets, self.recipe["sampling"], self.recipe["loss"])
        self.model = self._build_model()
        self.optimizer = build_optimizer(self.model, self.recipe["optimizer"])
        self.average = WeightAverage(self.model, self.recipe["ema"]) if self.recipe["ema"] else None
        self.forward = self._wrapped()
        self.state: dict[str, Any] = {"epoch": 0, "batch": 0, "step": 0, "loss": 0.0, "history": [], "best": None}
        self._unsettled: tuple[EpochBatches, int, Tensor] | None = None
        self._saved = time.monotonic()

    def restore(self) -> None:
        """Go on from the newest good checkpoint, where there is one, and keep any other job from doing the same."""
        found = self.checkpoints.load()
        if self.processes.first:
            self.checkpoints.claim()
        if found is not None:
            self.model.load_state_dict(found.pop("model"))
            self.optimizer.load_state_dict(found.pop("optimizer"))
            average = found.pop("average")
            if self.average is not None:
                self.average.load_state_dict(average)
            self.state = found

    def stops_early(self) -> bool:
        """Tell whether the last epochs were no better than one before them, for as long as the recipe allows."""
        return self.held_out is not None and stops_early(
            self.state["history"], self.recipe["monitor"], self.recipe["early_stopping_patience"]
        )

    def train_epoch(self, epoch: int) -> None:
        """Train on the batches of an epoch that are left, with checkpoints on the way."""
        batches = EpochBatches(self.examples, self.recipe, epoch, self.processes.rank, self.processes.count)
        self.model.train()
        self.model.freeze(self._is_frozen(epoch))
        left = range(self.state["batch"], len(batches))
        loaded = loader(batches, left, self.run.workers, pinned=self.device.type == "cuda")
        label = f"epoch {epoch + 1} of {self.run.epochs}"
        for number, batch in zip(left, progress(loaded, label, len(left)), strict=True):
            set_rates(self.optimizer, self._rate_factor(epoch + number / len(batches)))
            loss = self._train_batch(batch, batches.global_sizes[number], self.state["step"] + 1)
            self.state |= {"batch": number + 1, "step": self.state["step"] + 1}
            report = self._report(loss / batches.global_sizes[number])
            stop, due = self._settle()
            self._unsettled = (batches, number, report)
            if stop:
                self._stop()
            if due and number + 1 < len(batches):
                self._save()
        if self._settle()[0]:
            self._stop()

    def finish_epoch(self, epoch: int) -> dict[str, float]:
        """Evaluate the epoch, keep its weights if they are the best, save a checkpoint; return the history's row."""
        rate = self.recipe["optimizer"]["learning_rate"] * self._rate_factor(float(epoch))
        row = {"epoch": epoch + 1, "learning_rate": rate, "train_loss": self.state["loss"]}
        network = self.model if self.average is None else self.average.module
        self.processes.share_buffers(network)
        if self.held_out is not None:
            predictor = Predictor(network, self.recipe, self.device, self.run.workers, self.processes)
            row |= predictor.evaluate(self.held_out)
        self.state["history"].append(row)
        if self.held_out is None or is_best(self.state["history"], self.recipe["monitor"]):
            weights = {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
            self.state["best"] = {"epoch": epoch + 1, "weights": weights}
        self.state |= {"epoch": epoch + 1, "batch": 0, "loss": 0.0}
        self._save()
        return row

    def trained(self) -> dict[str, Any]:
        """Return all that prediction needs: recipe, encoder, preparation of images, the chosen epoch's weights."""
        best = self.state["best"]
        return {
            "recipe": {key: value for key, value in self.recipe.items() if key not in COMPUTING},
            "encoder": self.encoder.to_dict(),
            "size": self.examples.output_size,
            "images": None if self.run.images is None else ImageStore(self.run.images).preparation,
            "diagnoses": list(self.diagnoses),
            "trained_prevalence": self.trained_prevalence,
            "epoch": best["epoch"],
            "weights": best["weights"],
        }

    def _examples(self, table: pd.DataFrame) -> Examples:
        return Examples.of(table, self.encoder, self.run.images, self.recipe["input_size"], self.diagnoses)

    def _build_model(self) -> Any:
        torch.manual_seed(derived_seed(self.recipe["seed"], 0))
        columns = self.examples.metadata.shape[1]
        model = build_network(self.recipe, self.examples.output_size, columns, len(self.diagnoses))
        start_from_pretrained(model, self.recipe)
        if self.recipe["sync_batchnorm"] and self.processes.count > 1:
            model = synchronize_batch_norm(model)
        return model.to(self.device, memory_format=torch.channels_last)

    def _wrapped(self) -> Any:
        """The model as training calls it: with its gradients shared among the processes, compiled if so asked."""
        model = self.model
        if self.processes.count > 1:
            devices = [self.device] if self.device.type == "cuda" else None
            # A backbone that is frozen first has gradients later, and the parts of a network that a loss does not reach
            # have none.
            model = DistributedDataParallel(model, device_ids=devices, find_unused_parameters=self._is_frozen(0))
        return torch.compile(model) if self.recipe["compile"] else model

    def _is_frozen(self, epoch: int) -> bool:
        return "backbone" in self.recipe and epoch < self.recipe["backbone"]["frozen_epochs"]

    def _rate_factor(self, epoch: float) -> float:
        return rate_factor(self.recipe["schedule"], self.recipe["epochs"], epoch)

    def _train_batch(self, batch: Batch, images: int, step: int) -> Tensor:
        """Take one optimizer step on this process's part of a batch of `images`; return the sum of its losses."""
        self.optimizer.zero_grad(set_to_none=True)
        parts = batch.parts(self.recipe["gradient_accumulation_steps"])
        total = torch.zeros((), device=self.device)
        try:
            for number, part in enumerate(parts):
                more = number + 1 < len(parts)
                waiting = self.forward.no_sync() if more and self.processes.count > 1 else nullcontext()
                with waiting:
                    losses = self._losses(part, step, number)
                    # Gradients are averaged over the processes, so each gives the sum of its own over the mean part.
                    (losses.sum() * self.processes.count / images).backward()
                total += losses.detach().sum()
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            raise InputError(_no_memory(self.recipe, self.examples.output_size, len(batch.targets))) from error
        clip(self.model.parameters(), self.recipe["optimizer"]["max_grad_norm"])
        self.optimizer.step()
        if self.average is not None:
            self.average.update(self.model, step)
        return total

    def _losses(self, part: Batch, step: int, number: int) -> Tensor:
        """Return the loss of each image of a part of a batch; dropout is seeded by where it is."""
        seed = self.recipe["seed"]
        torch.manual_seed(derived_seed(seed, 1, step, self.processes.rank, number))
        inputs = to_device(part, self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe["precision"] == "bfloat16"):
            outputs = self.forward(inputs.images, inputs.metadata)
        losses = self.loss(outputs[:, 0].float(), inputs.targets)
        if self.diagnoses:
            task = diagnosis_loss(outputs[:, 1:].float(), inputs.diagnoses)
            losses = losses + self.recipe["aux_loss_weight"] * task
        return losses

    def _report(self, loss: Tensor) -> Tensor:
        """Return the step's mean loss, and above 0 whether to stop and to save, as all processes see it.

        It is read after the next step, so a checkpoint is asked for one step before it is due.
        """
        stop = self.preemption.reason() is not None
        due = self.processes.first and (
            (self.state["batch"] + 1) % self.recipe["checkpoint_batches"] == 0
            or time.monotonic() - self._saved >= 60 * self.recipe["checkpoint_minutes"]
        )
        return self.processes.total(torch.stack([loss, loss.new_tensor(stop), loss.new_tensor(due)]))

    def _settle(self) -> tuple[bool, bool]:
        """Read the report of the step before, while a GPU may do this one; return whether to stop, and to save."""
        if self._unsettled is None:
            return False, False
        (batches, number, report), self._unsettled = self._unsettled, None
        loss, stop, due = report.tolist()
        if not np.isfinite(loss):
            raise InputError(_not_finite(batches, number, self.run.table))
        self.state["loss"] += loss * batches.global_sizes[number] / len(batches.order)
        return stop > 0, due > 0

    def _stop(self) -> None:
        self._save()
        reason = self.preemption.reason() or "another process"
        raise Preempted(
            f"stopped by {reason} after batch {self.state['batch']} of epoch {self.state['epoch'] + 1}; a checkpoint is"
            f" saved in {self.checkpoints.folder}, and the same command, or the profile's retry, goes on from there"
        )

    def _save(self) -> None:
        self._settle()
        self._saved = time.monotonic()
        if self.processes.first:
            parts = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
            parts["average"] = self.average.state_dict() if self.average is not None else None
            self.checkpoints.save(self.state | parts, self.state["step"])


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


def _check_batch(recipe: dict[str, Any], targets: NDArray[np.int64]) -> None:
    """Raise InputError where an epoch has fewer images than a batch: what was asked for cannot be trained."""
    shown = len(epoch_order(targets, recipe["sampling"], recipe["seed"], 0))
    if recipe["batch_size"] > shown:
        raise InputError(
            f"The recipe's batch_size is {recipe['batch_size']}, and an epoch has {shown} images, from {len(targets)}"
            f" training images by sampling {recipe['sampling']['name']}: set batch_size to {shown} or less"
        )


def _not_finite(batches: EpochBatches, number: int, table: pd.DataFrame) -> str:
    names = table["image"].iloc[batches.order[batches.slices[number]]].tolist()
    return (
        f"The loss is not a finite number in epoch {batches.epoch + 1}, batch {number + 1}. Lower"
        " optimizer.learning_rate, clip the gradient (optimizer.max_grad_norm), or look at the images of the batch:"
        f" {', '.join(names)}"
    )


def _no_memory(recipe: dict[str, Any], side: int, images: int) -> str:
    return (
        f"There is not enough memory on the device for {images} images of {side} pixels in"
        f" {recipe['gradient_accumulation_steps']} part(s). Raise gradient_accumulation_steps, which cuts a batch into"
        " more parts; or set backbone.gradient_checkpointing: true or precision: bfloat16; or lower"
        " batch_size or input_size."
    )
