"""Training images as the network sees them after a recipe's augmentation: the loader's own steps, without torch."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from melanoma.augment.pixelwise import augmented
from melanoma.augment.transforms import IMAGENET_MEAN, IMAGENET_STD, Maps, map_colors, plain_maps, warp
from melanoma.images.store import ImageStore


def contact_sheet(store: ImageStore, rows: list[int], recipe: dict[str, Any], epochs: int) -> NDArray[np.uint8]:
    """Return the images at `rows` of the store, (images, 1 + epochs, side, side, 3): each as it is, then in each epoch.

    The images take the first positions of each epoch. All is as in training but for the noise, which is of the same
    strength and drawn by another generator, and for mixup and cutmix, which need a whole batch.
    """
    stored, positions, seen = store.read(rows), np.arange(len(rows)), recipe["input_size"] or store.size
    plain = plain_maps(len(rows), store.size, seen)
    sheet = [_visible(warp(stored, plain.affine, seen), plain)]
    for epoch in range(epochs):
        images, maps = augmented(stored, recipe["augmentation"], recipe["seed"], epoch, positions, seen)
        sheet.append(_visible(images, maps))
    return np.stack(sheet, axis=1)


def _visible(images: NDArray[np.uint8], maps: Maps) -> NDArray[np.uint8]:
    """Add the noise, map the colors as training does, and turn back the normalization."""
    seen = np.empty(images.shape, np.float32)
    for image, pixels, color, noise, seed in zip(images, seen, maps.color, maps.noise, maps.noise_seeds, strict=True):
        pixels[:] = image + noise * np.random.default_rng(seed).standard_normal(image.shape)
        map_colors(pixels, color)
    return np.round(255 * (seen * IMAGENET_STD + IMAGENET_MEAN)).clip(0, 255).astype(np.uint8)
