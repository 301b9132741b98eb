"""Logits of a network: on the validation images of an epoch, and for prediction, with test-time augmentation."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from melanoma.batches import Examples, PredictionBatches, loader, to_device
from melanoma.command import progress
from melanoma.distributed import Processes
from melanoma.metrics import auroc, average_precision
from melanoma.tta import average

NO_TTA = {"name": "none", "mean_of": "logit"}
VIEWS_AT_ONCE = 64


def judge(
    model: nn.Module,
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


@torch.inference_mode()
def predict_logits(
    model: nn.Module,
    examples: Examples,
    recipe: dict[str, Any],
    tta: dict[str, Any],
    device: torch.device,
    workers: int,
    processes: Processes,
) -> NDArray[np.float64]:
    """Return the logits of all examples, shape (n,), the mean over the views of `tta`.

    Each process takes every so many-th batch, so what is computed together does not depend on their number.
    """
    model.eval()
    batches = PredictionBatches(examples, VIEWS_AT_ONCE, tta, recipe)
    share = range(processes.rank, len(batches), processes.count)
    mixed = torch.autocast(device.type, torch.bfloat16, enabled=recipe["precision"] == "bfloat16")
    mine = {}
    loaded = loader(batches, share, workers, pinned=device.type == "cuda")
    for number, batch in zip(share, progress(loaded, "predicting", len(share)), strict=True):
        inputs = to_device(batch, device)
        with mixed:
            outputs = model(inputs.images, inputs.metadata)
        logits = outputs[:, 0].double().cpu().numpy().reshape(-1, batches.views)
        mine[number] = average(logits, tta["mean_of"])
    found = {number: logits for part in processes.gather(mine) for number, logits in part.items()}
    return np.concatenate([found[number] for number in range(len(batches))])
