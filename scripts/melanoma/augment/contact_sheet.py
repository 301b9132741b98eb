"""Training images as the network sees them after a recipe's augmentation: the loader's own steps, without torch."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from melanoma.augment.pixelwise import augmented
from melanoma.augment.transforms import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Transforms,
    plain_transforms,
    transform_colors,
    warp,
)
from melanoma.images.store import ImageStore


def contact_sheet(store: ImageStore, rows: list[int], recipe: dict[str, Any], epochs: int) -> NDArray[np.uint8]:
    """Return the images at `rows` of the store, (images, 1 + epochs, side, side, 3): each as it is, then in each epoch.

    The images are the first samples of each epoch. All is as in training but for the noise, which has the same strength
    and comes from another generator.
    """
    pixels, sample_indices, output_size = store.read(rows), np.arange(len(rows)), recipe["input_size"] or store.size
    settings = recipe["augmentation"]
    plain = plain_transforms(len(rows), store.size, output_size)
    sheet = [_visible(warp(pixels, plain.affine, output_size), plain)]
    for epoch in range(epochs):
        images, transforms = augmented(pixels, settings, recipe["seed"], epoch, sample_indices, output_size)
        sheet.append(_visible(images, transforms))
    return np.stack(sheet, axis=1)


def _visible(images: NDArray[np.uint8], transforms: Transforms) -> NDArray[np.uint8]:
    """Add the noise, transform the colors as training does, and turn back the normalization."""
    visible = np.empty(images.shape, np.float32)
    parts = transforms.color, transforms.noise, transforms.noise_seeds
    for image, pixels, color, noise, seed in zip(images, visible, *parts, strict=True):
        pixels[:] = image + noise * np.random.default_rng(seed).standard_normal(image.shape)
        transform_colors(pixels, color)
    return np.round(255 * (visible * IMAGENET_STD + IMAGENET_MEAN)).clip(0, 255).astype(np.uint8)
