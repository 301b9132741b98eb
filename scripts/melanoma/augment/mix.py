"""Mixup and cutmix: images of a batch blended or cut into one another, with their targets, on the training device."""

from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from melanoma.common.rng import derived_seed


def mix(images: Tensor, targets: Tensor, settings: dict[str, Any], seed: int, step: int) -> tuple[Tensor, Tensor]:
    """Return `images` (n, 3, S, S) and soft `targets` (n,) of one optimizer step, mixed where the draw says so.

    `settings` are the recipe's augmentation: `mixup` (Zhang et al., ICLR 2018) and, where it is not drawn, `cutmix`
    (Yun et al., ICCV 2019), each with its probability per batch. The share that an image keeps is drawn from
    Beta(alpha, alpha), one for the batch; the partners are a permutation of the same images. All of it is a function of
    (seed, step), drawn on the CPU. Of a batch that is cut over GPUs or accumulation steps, each part is mixed alone.

    Metadata and diagnoses are not mixed: they would stay those of the image that keeps its share, beside a target that
    is also another's. So a recipe with a joint head or a diagnosis task may not mix, which `study.resolve` checks.
    """
    generator = np.random.default_rng(derived_seed(seed, 2, step))
    by_mixup, by_cutmix = (generator.random() < settings[name]["probability"] for name in ("mixup", "cutmix"))
    if not (by_mixup or by_cutmix):
        return images, targets
    alpha = settings["mixup" if by_mixup else "cutmix"]["alpha"]
    share = generator.beta(alpha, alpha)
    partners = torch.from_numpy(generator.permutation(len(images))).to(images.device)
    if by_mixup:
        images = torch.lerp(images[partners], images, share)
    else:
        rows, columns = _rectangle(images.shape[-1], share, generator)
        images = images.clone()
        images[:, :, rows, columns] = images[:, :, rows, columns][partners]
        share = 1 - (rows.stop - rows.start) * (columns.stop - columns.start) / images[0, 0].numel()
    return images, torch.lerp(targets[partners], targets, share)


def _rectangle(side: int, share: float, generator: Generator) -> tuple[slice, slice]:
    """Draw a square of 1 - `share` of the area with its middle anywhere, and return what of it is in the image."""
    half = side * np.sqrt(1 - share) / 2
    rows, columns = (
        slice(max(round(middle - half), 0), min(round(middle + half), side)) for middle in generator.uniform(0, side, 2)
    )
    return rows, columns
