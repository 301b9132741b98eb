"""Training images as the network sees them after the augmentation of a recipe, computed without torch."""

import numpy as np
from numpy.typing import NDArray

from melanoma.augment.pixelwise import augment
from melanoma.augment.transforms import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Transforms,
    plain_transforms,
    transform_colors,
    warp,
)
from melanoma.config.recipe import Recipe
from melanoma.images.store import ImageStore


def contact_sheet(store: ImageStore, rows: list[int], recipe: Recipe, epochs: int) -> NDArray[np.uint8]:
    """Return the images at `rows` of the store without augmentation and in each epoch, (n, 1 + epochs, S, S, 3).

    The images are the first samples of each epoch. The loader's own functions change them. Only the noise comes from
    another generator; its strength is the same.
    """
    pixels, sample_indices, output_size = store.read(rows), np.arange(len(rows)), recipe.input_size or store.size
    plain = plain_transforms(len(rows), store.size, output_size)
    sheet = [_visible(warp(pixels, plain.affine, output_size), plain)]
    for epoch in range(epochs):
        changed = augment(pixels, recipe.augmentation, recipe.seed, epoch, sample_indices, output_size)
        sheet.append(_visible(*changed))
    return np.stack(sheet, axis=1)


def _visible(images: NDArray[np.uint8], transforms: Transforms) -> NDArray[np.uint8]:
    """Add the noise, transform the colors as training does, and undo the normalization."""
    visible = np.empty(images.shape, np.float32)
    parts = transforms.color, transforms.noise, transforms.noise_seeds
    for image, pixels, color, noise, seed in zip(images, visible, *parts, strict=True):
        pixels[:] = image + noise * np.random.default_rng(seed).standard_normal(image.shape)
        transform_colors(pixels, color)
    levels: NDArray[np.float64] = 255 * (visible * IMAGENET_STD + IMAGENET_MEAN)
    return np.round(levels).clip(0, 255).astype(np.uint8)
