"""Logits and embeddings of a network: for validation after an epoch, and prediction, with test-time augmentation."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from melanoma.batches import Examples, PredictionBatches, loader, to_device
from melanoma.command import progress
from melanoma.distributed import Processes
from melanoma.metrics import auroc, average_precision
from melanoma.networks import Classifier
from melanoma.tta import average

NO_TTA = {"name": "none", "mean_of": "logit"}
VIEWS_AT_ONCE = 64


def judge(
    model: Classifier,
    held_out: Examples,
    recipe: dict[str, Any],
    device: torch.device,
    workers: int,
    processes: Processes,
) -> dict[str, float]:
    """Return the loss, AUROC and average precision of the model on the validation rows."""
    logits = predict_logits(model, held_out, recipe, NO_TTA, device, workers, processes)
    targets = torch.from_numpy(held_out.targets)
    loss = binary_cross_entropy_with_logits(torch.from_numpy(logits), targets.double()).item()
    labels = held_out.targets.astype(np.int64)
    return {
        "validation_loss": loss,
        "validation_auroc": float(auroc(labels, logits)),
        "validation_average_precision": float(average_precision(labels, logits)),
    }


def predict_logits(
    model: Classifier,
    examples: Examples,
    recipe: dict[str, Any],
    tta: dict[str, Any],
    device: torch.device,
    workers: int,
    processes: Processes,
) -> NDArray[np.float64]:
    """Return the logits of all examples, shape (n,), the mean over the views of `tta`."""
    outputs = _outputs(model, examples, recipe, tta, device, workers, processes)
    return _gathered({number: logits for number, logits, _ in outputs}, processes)


def predict_logits_and_embeddings(
    model: Classifier,
    examples: Examples,
    recipe: dict[str, Any],
    tta: dict[str, Any],
    device: torch.device,
    workers: int,
    processes: Processes,
) -> tuple[NDArray[np.float64], NDArray[np.float32] | None]:
    """Return the logits as `predict_logits` and the embeddings of all images, (n, width), the mean over their views.

    A model that sees no images has None for embeddings.
    """
    logits, embeddings = {}, {}
    outputs = _outputs(model, examples, recipe, tta, device, workers, processes)
    for number, logit, embedding in outputs:
        logits[number] = logit
        if embedding is not None:
            embeddings[number] = embedding.float().unflatten(0, (len(logit), -1)).mean(dim=1).cpu().numpy()
    return _gathered(logits, processes), None if model.image is None else _gathered(embeddings, processes)


@torch.inference_mode()
def _outputs(
    model: Classifier,
    examples: Examples,
    recipe: dict[str, Any],
    tta: dict[str, Any],
    device: torch.device,
    workers: int,
    processes: Processes,
) -> Iterator[tuple[int, NDArray[np.float64], Tensor | None]]:
    """Yield number, logits and the embeddings of all views of each batch of this process, which takes every so many-th.

    So what is computed together does not depend on the number of processes.
    """
    model.eval()
    batches = PredictionBatches(examples, VIEWS_AT_ONCE, tta, recipe)
    share = range(processes.rank, len(batches), processes.count)
    mixed = torch.autocast(device.type, torch.bfloat16, enabled=recipe["precision"] == "bfloat16")
    loaded = loader(batches, share, workers, pinned=device.type == "cuda")
    for number, batch in zip(share, progress(loaded, "predicting", len(share)), strict=True):
        inputs = to_device(batch, device)
        with mixed:
            embedding = model.embed(inputs.images)
            outputs = model.classify(embedding, inputs.metadata)
        logits = outputs[:, 0].double().cpu().numpy().reshape(-1, batches.views)
        yield number, average(logits, tta["mean_of"]), embedding


def _gathered(mine: dict[int, NDArray[Any]], processes: Processes) -> NDArray[Any]:
    """The batches of all processes by number, put together in their order."""
    found = {number: batch for part in processes.gather(mine) for number, batch in part.items()}
    return np.concatenate([found[number] for number in range(len(found))])
