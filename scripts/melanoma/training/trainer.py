"""Training of one network by one recipe: exact to the bit, also after any number of kills and restarts.

Nothing random has a state. The order of an epoch, the augmentation of an image and the dropout of a step depend only on
the recipe's seed and on the position in the training. So a checkpoint is weights, optimizer, best weights and counters.
A training that continues from it ends in the same bits as one that was never stopped, with the same numbers of threads
and processes.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, TypedDict

import numpy as np
import pandas as pd
from torch import Tensor, cat, stack, zeros

from melanoma.common.cli import log, progress
from melanoma.common.errors import InputError
from melanoma.common.files import sha256
from melanoma.common.stopwatch import Stopwatch
from melanoma.compute.device import compute_device
from melanoma.compute.distributed import Processes
from melanoma.compute.preemption import Preempted, Preemption
from melanoma.compute.progress_report import curves, gpu_figures, process_age, report_best, report_epoch, report_start
from melanoma.config.facts import training_recipe
from melanoma.config.recipe import Recipe
from melanoma.data.metadata_columns import require_inputs
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.device.images import device_images
from melanoma.device.readback import Readback
from melanoma.device.work_time import WorkTime
from melanoma.images.store import ImageStore
from melanoma.models.pretrained import weights_digest
from melanoma.stats.metrics import auroc
from melanoma.training.checkpoint import Checkpoints
from melanoma.training.early_stopping import HISTORY, EpochRow, ValidationFigures, is_best, stops_early
from melanoma.training.learner import Learner, LearnerState
from melanoma.training.loader import Batch, EpochBatches, Examples, diagnosis_classes
from melanoma.training.predictor import Predictor, TrainedNetwork, evaluated_rows, table_digest
from melanoma.training.prefetch import Prefetch
from melanoma.training.sampling import check_batch_size, epoch_order, trained_prevalence


@dataclass(frozen=True)
class Run:
    """One training by `recipe` on the rows of `table`, evaluated after each epoch on `validation` unless it is None.

    `workers` threads load the batches. With 0, each batch is loaded when it is needed. The trainings of a study share
    what torch compiles, in the folder `compiled`.
    """

    recipe: Recipe
    table: pd.DataFrame
    validation: pd.DataFrame | None
    images: Path | None
    epochs: int
    workers: int = 0
    compiled: Path | None = None

    def stamp(self) -> str:
        """Return a hash of all that decides the result: recipe, pretrained weights, rows, images, epochs, figures."""
        parts = [
            json.dumps(training_recipe(self.recipe), sort_keys=True),
            weights_digest(self.recipe),
            table_digest(self.table),
            "" if self.validation is None else table_digest(self.validation),
            "" if self.images is None else ImageStore(self.images).digest,
            str(self.epochs),
            ",".join(HISTORY),
        ]
        return sha256("\n".join(parts).encode())


class BestEpoch(TypedDict):
    """The number of an epoch, from 1, and its weights on the CPU."""

    epoch: int
    weights: dict[str, Tensor]


class Position(TypedDict):
    """How far a training has come, and its results so far.

    `epoch` and `batch` are the numbers, from 0, of the next ones; `step` counts optimizer steps; `loss` is the part of
    the epoch's mean loss that its batches have given so far, and `logits` (images,) float32 are those of its images so
    far, in the order of the epoch.
    """

    epoch: int
    batch: int
    step: int
    loss: float
    logits: Tensor
    history: list[EpochRow]
    best: BestEpoch | None


class Checkpoint(TypedDict):
    """The content of a checkpoint; `learner` is the state of the Learner."""

    position: Position
    learner: LearnerState


def train(
    run: Run, checkpoints: Checkpoints[Checkpoint], folder: Path | None, preemption: Preemption, processes: Processes
) -> tuple[TrainedNetwork, pd.DataFrame]:
    """Train and return the network and its history, one row for each epoch with the columns `HISTORY`.

    The network has the weights of the best epoch on the validation rows, or of the last epoch if there are none.
    `folder` is for TensorBoard's curves. Raises Preempted, after a checkpoint, if `preemption` has a reason.
    """
    trainer = Trainer(run, checkpoints, preemption, processes)
    trainer.restore()
    with trainer.prefetch, curves(folder if processes.is_first else None, trainer.position["epoch"]) as writer:
        for epoch in range(trainer.position["epoch"], run.epochs):
            if trainer.stops_early():
                log.info("no better epoch in %d: stopping early", run.recipe.early_stopping_patience)
                break
            trainer.train_epoch(epoch)
            report_epoch(epoch + 1, run.epochs, trainer.finish_epoch(epoch), trainer.stopwatch, writer)
        trained = trainer.result()
        report_best(trained["epoch"], trainer.position["history"][trained["epoch"] - 1], writer)
    return trained, pd.DataFrame(trainer.position["history"], columns=HISTORY)


class Trainer:
    """A training in progress: the learner, the examples, and the position."""

    def __init__(
        self, run: Run, checkpoints: Checkpoints[Checkpoint], preemption: Preemption, processes: Processes
    ) -> None:
        self.start = Stopwatch()
        self.start.seconds["imports"] = process_age()
        self.run, self.recipe, self.checkpoints = run, run.recipe, checkpoints
        self.preemption, self.processes = preemption, processes
        self.device = compute_device(self.recipe.resources.gpus, self.recipe.precision, processes.local_rank)
        require_inputs(run.table, self.recipe.metadata_inputs, self.recipe.network)
        self.encoder = MetadataEncoder.fit(run.table)
        self.diagnoses = diagnosis_classes(run.table) if self.recipe.aux_loss_weight else ()
        self.examples = self._examples(run.table)
        self.held_out = self._examples(run.validation) if run.validation is not None else None
        check_batch_size(self.recipe, self.examples.labels)
        self.trained_prevalence = trained_prevalence(self.examples.labels, self.recipe.sampling, self.recipe.loss)
        with self.start.timing("network"):
            self.learner = Learner(run.recipe, self.examples, len(self.diagnoses), self.device, processes, run.compiled)
        with self.start.timing("images"):
            self._give_images_to_the_gpu()
        self.position = _start()
        self.prefetch = Prefetch(run.workers, pinned=self.device.type == "cuda")
        self.stopwatch = Stopwatch()
        self._next: _Epoch | None = None
        self._pending: _Report | None = None
        self._saved = time.monotonic()
        self._is_starting = True

    def restore(self) -> None:
        """Own the folder of checkpoints, and continue from the newest intact one, if any."""
        if self.processes.is_first:
            self.checkpoints.ownership.claim()
        self.processes.gather(None)  # the other processes wait, too
        checkpoint = self.checkpoints.load()
        if checkpoint is not None:
            self.learner.load_state_dict(checkpoint["learner"])
            self.position = checkpoint["position"]

    def stops_early(self) -> bool:
        """Tell whether the recipe's patience is over."""
        history, patience = self.position["history"], self.recipe.early_stopping_patience
        return self.held_out is not None and stops_early(history, self.recipe.monitor, patience)

    def train_epoch(self, epoch: int) -> None:
        """Train on the remaining batches of an epoch, with checkpoints in between."""
        batches, remaining, loaded = self._next or self._epoch(epoch, self.position["batch"])
        self.stopwatch = Stopwatch()
        self.learner.start_epoch(epoch)
        label = f"epoch {epoch + 1} of {self.run.epochs}"
        arriving = self.stopwatch.waiting("data", progress(loaded, label, len(remaining)))
        with self.stopwatch.timing("training"):
            self._train_batches(epoch, batches, zip(remaining, arriving, strict=True))
        if self.device.type == "cuda":
            self.stopwatch.report_slow_data()
        # The first batches of the next epoch are loaded during the validation of this one.
        self._next = self._epoch(epoch + 1, 0) if epoch + 1 < self.run.epochs else None

    def _epoch(self, epoch: int, first: int) -> "_Epoch":
        """Start to load the batches of an epoch from number `first` on."""
        batches = EpochBatches(self.examples, self.recipe, epoch, self.processes.rank, self.processes.count)
        remaining = range(first, len(batches))
        return _Epoch(batches, remaining, self.prefetch.stream(batches, remaining))

    def _train_batches(self, epoch: int, batches: EpochBatches, numbered: Iterator[tuple[int, Batch]]) -> None:
        for number, batch in numbered:
            images, step = batches.global_sizes[number], self.position["step"] + 1
            with WorkTime(self.device) as work:
                loss, logits = self.learner.learn(batch, images, step, epoch + number / len(batches))
            self.stopwatch.images += images
            self.position["batch"], self.position["step"] = number + 1, step
            of_batch = logits.new_zeros(images)
            of_batch[batches.place(number)] = logits
            report = _Report(batches, number, Readback(self._shared(loss / images, of_batch)), work)
            stop, save = self._settle()
            self._pending = report
            if stop:
                self._stop()
            if save and number + 1 < len(batches):
                self._save()
        if self._settle()[0]:
            self._stop()

    def finish_epoch(self, epoch: int) -> EpochRow:
        """Evaluate the epoch, keep its weights if they are the best, save a checkpoint; return its row."""
        network, history = self.learner.evaluation_network, self.position["history"]
        self.processes.share_buffers(network)
        predictor = Predictor(network, self.recipe, self.device, self.prefetch, self.processes)
        with self.stopwatch.timing("validation"):
            validation: ValidationFigures = {} if self.held_out is None else predictor.evaluate(self.held_out)
        row: EpochRow = {
            "epoch": epoch + 1,
            "learning_rate": self.recipe.optimizer.learning_rate * self.learner.rate_factor(epoch),
            "train_loss": self.position["loss"],
            "train_auroc": self._train_auroc(epoch),
            **validation,
            **gpu_figures(self.stopwatch, self.device),
        }
        history.append(row)
        if self.held_out is None or is_best(history, self.recipe.monitor):
            weights = {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
            self.position["best"] = {"epoch": epoch + 1, "weights": weights}
        self.position |= {"epoch": epoch + 1, "batch": 0, "loss": 0.0, "logits": zeros(0)}
        self._save()
        return row

    def result(self) -> TrainedNetwork:
        """Return the network of the best epoch. At least one epoch must be finished."""
        best = self.position["best"]
        assert best is not None
        return {
            "recipe": training_recipe(self.recipe),
            "encoder": self.encoder.to_dict(),
            "size": self.examples.output_size,
            "images": None if self.run.images is None else ImageStore(self.run.images).preparation,
            "diagnoses": list(self.diagnoses),
            "trained_prevalence": self.trained_prevalence,
            "epoch": best["epoch"],
            "weights": best["weights"],
        }

    def _examples(self, table: pd.DataFrame) -> Examples:
        return Examples.of(table, self.encoder, self.run.images, self.recipe.input_size, self.diagnoses)

    def _give_images_to_the_gpu(self) -> None:
        """Let the GPUs hold the images of training and validation, if they fit, and in any case warp them."""
        if self.examples.store is None:
            return
        validated = evaluated_rows(self.held_out, self.processes)
        images = device_images(self.examples.store, self.examples.rows, validated, self.device, self.processes)
        self.examples = replace(self.examples, device_images=images.training)
        self.held_out = None if self.held_out is None else replace(self.held_out, device_images=images.validation)

    def _train_auroc(self, epoch: int) -> float:
        """Return the AUROC of the epoch's training images, augmented, each before the step that learned from it."""
        labels = self.examples.labels
        order = epoch_order(labels, self.recipe.sampling, self.recipe.seed, epoch)
        return float(auroc(labels[order], self.position["logits"].numpy()))

    def _shared(self, loss: Tensor, logits: Tensor) -> Tensor:
        """Return the sums over all processes of the step's loss, the requests to stop and to save, and the logits.

        `logits` (images,) are those of the whole batch, 0 for images of other processes. The result is (3 + images,).
        It is read after the next step, so a checkpoint is requested one step early.
        """
        stop = self.preemption.reason() is not None or self.checkpoints.ownership.asked
        save = self.processes.is_first and (
            (self.position["batch"] + 1) % self.recipe.checkpoint_batches == 0
            or time.monotonic() - self._saved >= 60 * self.recipe.checkpoint_minutes
        )
        # new_full starts a kernel. new_tensor would wait until the GPU has copied the number, and so ends each step.
        sums = stack([loss, loss.new_full((), stop), loss.new_full((), save)])
        return self.processes.total(cat([sums, logits]))

    def _settle(self) -> tuple[bool, bool]:
        """Read the report of the step before, while a GPU computes this one; return whether to stop, and to save."""
        if self._pending is None:
            return False, False
        report, self._pending = self._pending, None
        sums = report.sums.read()
        loss, stop, save = sums[:3].tolist()
        self.stopwatch.seconds["gpu"] += report.work.seconds()
        if self._is_starting:
            self._is_starting = False
            self.start.seconds["first batches"] = self.stopwatch.seconds["data"]
            report_start(self.start.seconds)
        if not np.isfinite(loss):
            raise InputError(report.not_finite(self.run.table))
        self.position["logits"] = cat([self.position["logits"], sums[3:]])
        self.position["loss"] += loss * report.batches.global_sizes[report.number] / len(report.batches.order)
        return stop > 0, save > 0

    def _stop(self) -> None:
        self._save()
        asked = "another job, which takes over this training," if self.checkpoints.ownership.asked else None
        reason = self.preemption.reason() or asked or "another process"
        raise Preempted(
            f"stopped by {reason} after batch {self.position['batch']} of epoch {self.position['epoch'] + 1}; a"
            f" checkpoint is saved in {self.checkpoints.folder}, and the same command, or a retry by the profile,"
            " continues from there"
        )

    def _save(self) -> None:
        self._settle()
        self._saved = time.monotonic()
        if self.processes.is_first:
            checkpoint: Checkpoint = {"position": self.position, "learner": self.learner.state_dict()}
            with self.stopwatch.timing("checkpoint"):
                self.checkpoints.save(checkpoint, self.position["step"])
                self.learner.compiled.keep()


class _Epoch(NamedTuple):
    """The batches of an epoch, the numbers of those that remain, and these batches as they are loaded."""

    batches: EpochBatches
    remaining: range
    loaded: Iterator[Batch]


@dataclass(frozen=True)
class _Report:
    """The `sums` of a step, as `_shared` returns them, on batch `number` of an epoch's `batches`, and its `work`."""

    batches: EpochBatches
    number: int
    sums: Readback
    work: WorkTime

    def not_finite(self, table: pd.DataFrame) -> str:
        names = table["image"].iloc[self.batches.order[self.batches.slices[self.number]]].tolist()
        return (
            f"The loss is not a finite number in epoch {self.batches.epoch + 1}, batch {self.number + 1}. Lower"
            " optimizer.learning_rate, clip the gradient (optimizer.max_grad_norm), or look at the images of the batch:"
            f" {', '.join(names)}"
        )


def _start() -> Position:
    return {"epoch": 0, "batch": 0, "step": 0, "loss": 0.0, "logits": zeros(0), "history": [], "best": None}
