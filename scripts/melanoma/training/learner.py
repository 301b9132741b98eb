"""A network and all that changes its weights: loss, optimizer, learning rate and weight average."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypedDict

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from melanoma.common.cli import log
from melanoma.common.errors import InputError
from melanoma.common.rng import derived_seed
from melanoma.compute.compiled import CompiledCode
from melanoma.compute.device import is_out_of_memory
from melanoma.compute.distributed import Processes
from melanoma.config.recipe import Recipe
from melanoma.device.graphs import Inputs, Record, StepGraphs, UpdateGraph, cuda_recorder
from melanoma.models.classifier import Classifier, build_network
from melanoma.models.pretrained import start_from_pretrained
from melanoma.training.loader import Batch, DeviceBatch, Examples, to_device
from melanoma.training.losses import build_loss, diagnosis_loss
from melanoma.training.optimizer import (
    WeightAverage,
    build_optimizer,
    clip,
    create_state,
    load_state,
    rates_on_device,
    set_rates,
)
from melanoma.training.schedules import rate_factor


class LearnerState(TypedDict):
    """What a checkpoint needs to continue a training: states as torch returns them."""

    network: dict[str, Tensor]
    optimizer: dict[str, Any]
    average: dict[str, Tensor] | None


class Learner:
    """The network of a recipe on its `device`, which learns from batches of `examples` with `diagnoses` classes.

    What torch compiles is in `compiled`, of which a file in the folder of this name is kept for other trainings.
    """

    def __init__(
        self,
        recipe: Recipe,
        examples: Examples,
        diagnoses: int,
        device: torch.device,
        processes: Processes,
        compiled: Path | None = None,
    ) -> None:
        self.recipe, self.device, self.processes = recipe, device, processes
        self.input_size, self.has_diagnoses = examples.output_size, diagnoses > 0
        self.loss = build_loss(recipe.loss, examples.labels)
        torch.manual_seed(derived_seed(recipe.seed, 0))
        network = build_network(recipe, examples.output_size, examples.metadata.shape[1], diagnoses)
        start_from_pretrained(network, recipe)
        if recipe.sync_batchnorm:
            network = processes.synchronize_batch_norm(network, device)
        self.network: Classifier = network.to(device).to(memory_format=torch.channels_last)
        self.optimizer = build_optimizer(self.network, recipe.optimizer)
        self.average = None if recipe.ema is None else WeightAverage(self.network, recipe.ema)
        self.compiled = CompiledCode(compiled if recipe.compile else None, self._use())
        self.forward = self._parallel_network()
        self.start_recordings(self._recorder())

    @property
    def evaluation_network(self) -> Classifier:
        """The network to evaluate and keep: that of the averaged weights if the recipe averages them."""
        return self.network if self.average is None else self.average.module

    def start_epoch(self, epoch: int) -> None:
        """Set the network to training mode, with its backbone frozen if the recipe freezes it in this epoch."""
        self.network.train()
        self.network.freeze(self._is_frozen(epoch))
        if self.graphs is not None and epoch > 0 and self._is_frozen(epoch) != self._is_frozen(epoch - 1):
            self.start_recordings(self._recorder())

    def rate_factor(self, epoch: float) -> float:
        """Return the factor of each learning rate after `epoch` epochs, which need not be whole."""
        return rate_factor(self.recipe.schedule, self.recipe.epochs, epoch)

    def learn(self, batch: Batch, images: int, step: int, epoch: float) -> tuple[Tensor, Tensor]:
        """Take optimizer step `step`, after `epoch` epochs.

        Return the sum of the losses, a scalar, and the logits before the step, (n,) float32, both on the device.
        `batch` is this process's part of a batch of `images`. Raises InputError if memory is missing.
        """
        set_rates(self.optimizer, self.rate_factor(epoch))
        try:
            total, logits = self._accumulate(batch, images, step)
            self._update_weights(step)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise InputError(
                f"There is not enough memory on the device for {len(batch)} images of {self.input_size} pixels in"
                f" {self.recipe.gradient_accumulation_steps} part(s). Raise gradient_accumulation_steps, which cuts a"
                " batch into more parts; or set backbone.gradient_checkpointing: true or precision: bfloat16; or lower"
                " batch_size or input_size."
            ) from error
        return total, logits

    def state_dict(self) -> LearnerState:
        """Return all that a checkpoint needs: weights, state of the optimizer, averaged weights."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
        }

    def load_state_dict(self, state: LearnerState) -> None:
        """Continue from the state that `state_dict` returned for the same recipe."""
        self.network.load_state_dict(state["network"])
        load_state(self.optimizer, state["optimizer"])
        if self.average is not None and state["average"] is not None:
            self.average.load_state_dict(state["average"])
        if self.graphs is not None:
            self.start_recordings(self._recorder())  # the state of the optimizer has other memory now

    def start_recordings(self, record: Record | None) -> None:
        """Forget all recorded parts of the training step, and let `record` make new ones in the next steps.

        With None, nothing is recorded.
        """
        self.graphs = None if record is None else StepGraphs(self.network, record)
        self.update_graph = None if record is None else UpdateGraph(record, self.device)
        if record is not None or self.device.type == "cuda":
            create_state(self.optimizer)

    def _parallel_network(self) -> Any:
        """Return the network as training calls it: its processes share gradients, and it is compiled if asked."""
        network: Any = self.network
        if self.processes.count > 1:
            devices = [self.device] if self.device.type == "cuda" else None
            # A backbone that is frozen first gets gradients later, and in each step torch must find which parts do.
            network = DistributedDataParallel(network, device_ids=devices, find_unused_parameters=self._is_frozen(0))
        if not self.recipe.compile:
            return network
        log.info(
            "compile: true: the first steps compile the network, which takes up to a minute for a small one and"
            " minutes for a large one, such as resnest269; it pays only in a long training"
        )
        self.compiled.load()
        return torch.compile(network)

    def _use(self) -> str:
        """Return all that decides what torch compiles, but its version."""
        card = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
        recipe = self.recipe
        numbers = (self.input_size, recipe.batch_size, recipe.gradient_accumulation_steps, self.processes.count)
        return f"{self.network} {numbers} {recipe.precision} {card}"

    def _is_frozen(self, epoch: int) -> bool:
        return self.recipe.is_backbone and epoch < self.recipe.backbone.frozen_epochs

    def _recorder(self) -> Record | None:
        """Return what records a part of the training step as a CUDA graph, or None where this cannot be."""
        if self.device.type == "cpu":
            return None
        obstacles = {
            "several processes share gradients": self.processes.count > 1,
            "compile: true": self.recipe.compile,
            "backbone.gradient_checkpointing": self.recipe.is_backbone and self.recipe.backbone.gradient_checkpointing,
        }
        reasons = [reason for reason, is_so in obstacles.items() if is_so]
        if reasons:
            log.info("no CUDA graph of the training step: %s", ", ".join(reasons))
            return None
        return cuda_recorder(self.device)

    def _update_weights(self, step: int) -> None:
        """Take the rest of optimizer step `step`, after its gradients."""
        share = 1.0 if self.average is None else self.average.share(step)
        if self.update_graph is None:
            self._update(share)
        else:
            rates = [group["lr"] for group in self.optimizer.param_groups]
            self.update_graph(self._update_from_device, self._changing(), [*rates, share])

    def _update(self, share: float | Tensor) -> None:
        """Clip the gradients, take the optimizer's step, add it to the average with this share, clear the gradients."""
        if self.recipe.optimizer.max_grad_norm is not None:
            clip(self.network.parameters(), self.recipe.optimizer.max_grad_norm)
        self.optimizer.step()
        if self.average is not None:
            self.average.add(self.network, share)
        # Recordings need the gradients in the same memory.
        self.optimizer.zero_grad(set_to_none=self.graphs is None)

    def _update_from_device(self, numbers: Sequence[Tensor]) -> None:
        """Do the same with the learning rate of each group and the share as scalars on the device."""
        *rates, share = numbers
        with rates_on_device(self.optimizer, rates):
            self._update(share)

    def _changing(self) -> Iterator[Tensor]:
        """Yield all that `_update` changes."""
        for parameter in self.network.parameters():
            if parameter.grad is not None:
                yield from (parameter, parameter.grad)
        for state in self.optimizer.state.values():
            yield from state.values()
        if self.average is not None:
            yield from (*self.average.parameters(), *self.average.buffers())

    def _accumulate(self, batch: Batch, images: int, step: int) -> tuple[Tensor, Tensor]:
        """Add the gradients of all parts of a batch; return the sum of the losses, and the logits."""
        parts = batch.warped(self.device).parts(self.recipe.gradient_accumulation_steps)
        total, logits = torch.zeros((), device=self.device), list[Tensor]()
        for number, part in enumerate(parts):
            is_last = number + 1 == len(parts)
            inputs = to_device(part, self.device)
            # The seed of dropout follows from its place.
            seed = derived_seed(self.recipe.seed, 1, step, self.processes.rank, number)
            with nullcontext() if is_last or self.processes.count == 1 else self.forward.no_sync():
                learned = self._learn_part(inputs, images, seed)
            total += learned[0]
            logits.append(learned[1:].clone())  # a recording uses its memory again
        return total, torch.cat(logits)

    def _learn_part(self, inputs: DeviceBatch, images: int, seed: int) -> Tensor:
        if self.graphs is not None:
            return self.graphs(self._add_gradients, inputs, images, seed)
        torch.manual_seed(seed)
        return self._add_gradients(inputs, images)

    def _add_gradients(self, inputs: Inputs, images: int) -> Tensor:
        """Add the gradients of a part of a batch of `images`; return the sum of its losses and its logits, (1 + n,).

        `inputs` are the fields of a DeviceBatch.
        """
        losses, logits = self._losses(DeviceBatch._make(inputs))
        # torch averages gradients over processes, so each one's sum is divided by the mean part of a process.
        torch.autograd.backward(losses.sum() * self.processes.count / images)
        return torch.cat([losses.detach().sum()[None], logits.detach()])

    def _losses(self, inputs: DeviceBatch) -> tuple[Tensor, Tensor]:
        """Return the loss and the logit of each image."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
            outputs: Tensor = self.forward(inputs.images, inputs.metadata)
        logits = outputs[:, 0].float()
        losses = self.loss(logits, inputs.targets)
        if self.has_diagnoses:
            auxiliary = diagnosis_loss(outputs[:, 1:].float(), inputs.diagnoses)
            losses = losses + self.recipe.aux_loss_weight * auxiliary
        return losses, logits
