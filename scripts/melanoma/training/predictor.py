"""Logits and embeddings of a network: for validation after an epoch, and prediction, with test-time augmentation."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from melanoma.augment.tta import NO_TTA, average
from melanoma.common.cli import progress
from melanoma.compute.distributed import Processes
from melanoma.models.classifier import Classifier, build_network
from melanoma.predictions.patient_context import patient_distance, patients_of_part
from melanoma.stats.metrics import auroc, average_precision
from melanoma.training.loader import Examples, PredictionBatches, loader, to_device

VIEWS_AT_ONCE = 64


def restored(trained: dict[str, Any], columns: int) -> Classifier:
    """Return the network of a file of weights, for so many columns of metadata."""
    model = build_network(trained["recipe"], trained["size"], columns, len(trained["diagnoses"]))
    model.load_state_dict(trained["weights"])
    return model


def predicted(
    rows: pd.DataFrame,
    logits: NDArray[np.float64],
    embeddings: NDArray[np.float32] | None,
    trained_prevalence: float,
) -> pd.DataFrame:
    """Return `rows`, with image, patient and part, as predictions by what `Predictor.predict` says of them."""
    distance = np.nan if embeddings is None else patient_distance(embeddings, patients_of_part(rows))
    made = {"logit": logits, "probability": 1 / (1 + np.exp(-logits)), "trained_prevalence": trained_prevalence}
    return rows.assign(**made, patient_distance=distance)


@dataclass(frozen=True)
class Predictor:
    """A network and what it predicts with: recipe, device, loader workers, and the processes that share the images.

    The network must be on the device. Each of the processes makes the same calls, and gets the whole result.
    """

    model: Classifier
    recipe: dict[str, Any]
    device: torch.device
    workers: int
    processes: Processes

    def evaluate(self, held_out: Examples) -> dict[str, float]:
        """Return the loss, AUROC and average precision of the model on the validation rows."""
        logits = _joined({number: logits for number, logits, _ in self._outputs(held_out, NO_TTA)}, self.processes)
        targets = torch.from_numpy(held_out.targets)
        loss = binary_cross_entropy_with_logits(torch.from_numpy(logits), targets.double()).item()
        labels = held_out.targets.astype(np.int64)
        return {
            "validation_loss": loss,
            "validation_auroc": float(auroc(labels, logits)),
            "validation_average_precision": float(average_precision(labels, logits)),
        }

    def predict(
        self, examples: Examples, tta: dict[str, Any]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32] | None]:
        """Return the logits of all examples, (n,), and the embeddings of their images, (n, width), means over views.

        The mean of logits is taken as `tta` says. A model that sees no images has None for embeddings.
        """
        logits, embeddings = {}, {}
        for number, logit, embedding in self._outputs(examples, tta):
            logits[number] = logit
            if embedding is not None:
                embeddings[number] = embedding.float().unflatten(0, (len(logit), -1)).mean(dim=1).cpu().numpy()
        no_images = self.model.image is None
        return _joined(logits, self.processes), None if no_images else _joined(embeddings, self.processes)

    @torch.inference_mode()
    def _outputs(
        self, examples: Examples, tta: dict[str, Any]
    ) -> Iterator[tuple[int, NDArray[np.float64], Tensor | None]]:
        """Yield number, logits and the embeddings of all views of each batch of this process: every so many-th.

        So what is computed together does not depend on the number of processes.
        """
        self.model.eval()
        batches = PredictionBatches(examples, VIEWS_AT_ONCE, tta, self.recipe)
        share = range(self.processes.rank, len(batches), self.processes.count)
        mixed = torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe["precision"] == "bfloat16")
        loaded = loader(batches, share, self.workers, pinned=self.device.type == "cuda")
        for number, batch in zip(share, progress(loaded, "predicting", len(share)), strict=True):
            inputs = to_device(batch, self.device)
            with mixed:
                embedding = self.model.embed(inputs.images)
                outputs = self.model.classify(embedding, inputs.metadata)
            logits = outputs[:, 0].double().cpu().numpy().reshape(-1, batches.views)
            yield number, average(logits, tta["mean_of"]), embedding


def _joined(mine: dict[int, NDArray[Any]], processes: Processes) -> NDArray[Any]:
    """The batches of all processes by number, put together in their order."""
    found = {number: batch for part in processes.gather(mine) for number, batch in part.items()}
    return np.concatenate([found[number] for number in range(len(found))])
