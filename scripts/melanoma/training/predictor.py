"""Logits and embeddings of a network: on validation images after an epoch, and in prediction with views of TTA."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, NotRequired, TypedDict, TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from melanoma.augment.tta import average
from melanoma.common.cli import progress
from melanoma.common.errors import InputError, listing
from melanoma.common.files import sha256
from melanoma.compute.distributed import Processes
from melanoma.config.augmentation import TTA
from melanoma.config.recipe import Recipe
from melanoma.data.metadata_encoder import EncoderValues
from melanoma.device.readback import Readback
from melanoma.images.store import ImageStore, Preparation
from melanoma.models.classifier import Classifier, build_network
from melanoma.predictions.patient_context import patient_distance, patients_of_part
from melanoma.predictions.table import VIEW_DEVIATION
from melanoma.stats.log_odds import sigmoid
from melanoma.stats.metrics import auroc, average_precision
from melanoma.training.early_stopping import ValidationFigures
from melanoma.training.loader import Examples, PredictionBatches, to_device
from melanoma.training.prefetch import Prefetch
from melanoma.training.sampling import batch_slices

VIEWS_AT_ONCE = 64
Scalar = TypeVar("Scalar", bound=np.generic)


class TrainedNetwork(TypedDict):
    """The content of a file of weights, which is all that prediction needs.

    `recipe` are the options that decide the weights, `encoder` the values of the MetadataEncoder, `size` the side of
    the network's input in pixels, `images` the preparation of the images, or None if the network reads none, `epoch`
    the selected epoch, and `fold` the fold that was held out, or None after a training on all images.
    """

    recipe: dict[str, Any]
    encoder: EncoderValues
    size: int
    images: Preparation | None
    diagnoses: list[str]
    trained_prevalence: float
    epoch: int
    weights: dict[str, Tensor]
    fold: NotRequired[int | None]


class Predicted(NamedTuple):
    """The logits of all examples, (n,); the embeddings of their images, (n, width); and how far their views differ.

    `view_deviation`, (n,), is the standard deviation over the views of the probability. It is NaN with one view. The
    embeddings are means over the views, and None if the network reads no images.
    """

    logits: NDArray[np.float64]
    embeddings: NDArray[np.float32] | None
    view_deviation: NDArray[np.float64]


class _Output(NamedTuple):
    """The number of a batch, the logits of its images (n, views) float64, and their embeddings, means over views.

    The device may still compute them.
    """

    number: int
    logits: Readback
    embedding: Readback | None


@dataclass(frozen=True)
class Predictor:
    """A network on its `device`, its recipe, the threads that load batches, and the processes that share the images.

    Every process makes the same calls and gets the whole result.
    """

    network: Classifier
    recipe: Recipe
    device: torch.device
    prefetch: Prefetch
    processes: Processes

    def evaluate(self, held_out: Examples) -> ValidationFigures:
        """Return the loss, AUROC and average precision of the network on the validation rows.

        The images are in the frame of the recipe's prediction, each as a single view.
        """
        tta = TTA(frame=self.recipe.tta.frame)
        outputs = _one_behind(self._outputs(held_out, tta))
        logits = self._all_batches({number: _mean_logits(logits, tta) for number, logits, _ in outputs})
        targets = torch.from_numpy(held_out.targets)
        loss = binary_cross_entropy_with_logits(torch.from_numpy(logits), targets.double()).item()
        return {
            "validation_loss": loss,
            "validation_auroc": float(auroc(held_out.labels, logits)),
            "validation_average_precision": float(average_precision(held_out.labels, logits)),
        }

    def predict(self, examples: Examples, tta: TTA) -> tuple[NDArray[np.float64], NDArray[np.float32] | None]:
        """Return the logits and the embeddings of `predict_views`."""
        return self.predict_views(examples, tta)[:2]

    def predict_views(self, examples: Examples, tta: TTA) -> Predicted:
        """Return what the network says about all examples. The mean of their logits is the one that `tta` names."""
        logits: dict[int, NDArray[np.float64]] = {}
        embeddings: dict[int, NDArray[np.float32]] = {}
        deviations: dict[int, NDArray[np.float64]] = {}
        for number, of_views, embedding in _one_behind(self._outputs(examples, tta)):
            logits[number] = _mean_logits(of_views, tta)
            deviations[number] = _deviation(sigmoid(of_views.read().numpy()))
            if embedding is not None:
                embeddings[number] = embedding.read().numpy()
        reads_images = self.network.image is not None
        return Predicted(
            self._all_batches(logits),
            self._all_batches(embeddings) if reads_images else None,
            self._all_batches(deviations),
        )

    @torch.inference_mode()
    def _outputs(self, examples: Examples, tta: TTA) -> Iterator[_Output]:
        """Yield the outputs of each batch of this process.

        The batches are the same for any number of processes, and each process takes every so many-th of them.
        """
        self.network.eval()
        batches = PredictionBatches(examples.on(self.device), VIEWS_AT_ONCE, tta, self.recipe)
        numbers = self.processes.turns(len(batches))
        mixed = torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16")
        loaded = self.prefetch.stream(batches, numbers)
        for number, batch in zip(numbers, progress(loaded, "predicting", len(numbers)), strict=True):
            inputs = to_device(batch, self.device)
            with mixed:
                embedding = self.network.embed(inputs.images)
                outputs = self.network.classify(embedding, inputs.metadata)
            logits = outputs[:, 0].double().view(-1, batches.views)
            yield _Output(
                number, Readback(logits), None if embedding is None else _mean_of_views(embedding, len(logits))
            )

    def _all_batches(self, of_process: dict[int, NDArray[Scalar]]) -> NDArray[Scalar]:
        """Return the batches of all processes, which have them by number, concatenated in their order."""
        batches = {number: batch for part in self.processes.gather(of_process) for number, batch in part.items()}
        return np.concatenate([batches[number] for number in range(len(batches))])


def evaluated_rows(held_out: Examples | None, processes: Processes) -> list[NDArray[np.int64]]:
    """Return the rows of the images that each process reads when all `evaluate` the validation rows, if there are any.

    They are the same after each epoch.
    """
    rows = np.zeros(0, np.int64) if held_out is None else held_out.rows
    slices = batch_slices(len(rows), VIEWS_AT_ONCE)
    turns = (replace(processes, rank=rank).turns(len(slices)) for rank in range(processes.count))
    return [np.concatenate([rows[:0], *(rows[slices[number]] for number in numbers)]) for numbers in turns]


def _mean_of_views(embedding: Tensor, images: int) -> Readback:
    return Readback(embedding.float().view(images, -1, embedding.shape[1]).mean(dim=1))


def _mean_logits(of_views: Readback, tta: TTA) -> NDArray[np.float64]:
    return average(of_views.read().numpy(), tta.mean_of)


def _deviation(of_views: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard deviation of values (n, views) over the views, (n,), NaN for one view."""
    one = of_views.shape[1] == 1
    return np.full(len(of_views), np.nan) if one else np.asarray(of_views.std(axis=1, ddof=1), np.float64)


def _one_behind(outputs: Iterator[_Output]) -> Iterator[_Output]:
    """Yield each output when the next one is under way, so that a GPU computes that while the host reads this."""
    before = next(outputs, None)
    for output in outputs:
        if before is not None:
            yield before
        before = output
    if before is not None:
        yield before


def require_same_preparation(trained: TrainedNetwork, images: Path | None) -> None:
    """Raise InputError if a network reads images, and the store `images` has others than those of its training.

    A recipe with input_size resizes the images itself, so its network also reads a store of another size, if that is
    not smaller than input_size.
    """
    expected = trained["images"]
    if expected is None:
        return
    if images is None:
        raise InputError("the network reads images: give the image store by --images")
    stored, input_size = ImageStore(images).preparation, trained["recipe"]["input_size"]
    resizes = input_size is not None and stored["size"] >= input_size
    different = [
        f"{option}: the network was trained with {wanted}, the store has {stored.get(option)}"
        for option, wanted in expected.items()
        if stored.get(option) != wanted and not (option == "size" and resizes)
    ]
    if different:
        raise InputError(
            f"{images}: its images are prepared in another way than those of the training, so the predictions would be"
            f" worse:\n{listing(different)}\nPrepare the store with the options of the training (section images of the"
            " study), or train the network again with images of this store"
        )


def restored(
    trained: TrainedNetwork, columns: int, device: torch.device, prefetch: Prefetch, processes: Processes
) -> Predictor:
    """Return the predictor of a trained network that reads so many columns of metadata, on `device`."""
    recipe = Recipe.model_validate(trained["recipe"])
    network = build_network(recipe, trained["size"], columns, len(trained["diagnoses"]))
    network.load_state_dict(trained["weights"])
    network.to(device).to(memory_format=torch.channels_last)
    return Predictor(network, recipe, device, prefetch, processes)


def predict_rows(
    trained: TrainedNetwork,
    rows: pd.DataFrame,
    examples: Examples,
    tta: TTA,
    device: torch.device,
    workers: int,
    processes: Processes,
) -> pd.DataFrame:
    """Return `rows` (image, patient, part and others) with the predictions of a trained network for `examples`.

    With several views of an image there is also `VIEW_DEVIATION`.
    """
    with Prefetch(workers, pinned=device.type == "cuda") as prefetch:
        predictor = restored(trained, examples.metadata.shape[1], device, prefetch, processes)
        logits, embeddings, deviation = predictor.predict_views(examples, tta)
    distance = np.nan if embeddings is None else patient_distance(embeddings, patients_of_part(rows))
    predictions = rows.assign(
        logit=logits,
        probability=1 / (1 + np.exp(-logits)),
        trained_prevalence=trained["trained_prevalence"],
        patient_distance=distance,
    )
    return predictions if np.isnan(deviation).all() else predictions.assign(**{VIEW_DEVIATION: deviation})


def stamp(weights: bytes, rows: pd.DataFrame, tta: TTA, images: Path | None) -> str:
    """Return a hash of all that decides a network's predictions, 16 hexadecimal digits."""
    digest = ImageStore(images).digest if images is not None else ""
    settings = json.dumps(tta.dump(), sort_keys=True)
    return sha256("\n".join([sha256(weights), table_digest(rows), settings, digest]).encode())[:16]


def table_digest(table: pd.DataFrame) -> str:
    """Return a hash of all values of a table, 64 hexadecimal digits."""
    return sha256(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
