"""Augmentation that no transform of positions or colors can express: hair, blur and cutout, on the warped uint8 image.

The order is warp, hair, blur, cutout; noise and colors follow on the training device. What an image gets is a function
of (seed, epoch, sample index). A recipe that asks for none of them pays nothing.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from melanoma.augment.transforms import IMAGENET_MEAN, Transforms, draw, random_transforms, warp
from melanoma.common.rng import derived_seed

MEAN_COLOR = np.round(255 * IMAGENET_MEAN).astype(np.uint8)
# Hairs are 1 to 3 pixels wide where the network sees this many.
HAIR_SIDE = 512
# Points of a hair's curve, and binary digits of a pixel that OpenCV draws it to.
HAIR_POINTS, HAIR_DIGITS = 24, 4


def augmented(
    pixels: NDArray[np.uint8],
    settings: dict[str, Any],
    seed: int,
    epoch: int,
    sample_indices: NDArray[np.integer],
    output_size: int,
) -> tuple[NDArray[np.uint8], Transforms]:
    """Return the images `sample_indices` of an epoch as they leave the loader, and their transforms.

    `pixels` (n, S, S, 3) are the same images as the store has them, `settings` the recipe's augmentation. The images
    returned are (n, output_size, output_size, 3). Noise and colors of the transforms are left to do.
    """
    transforms = random_transforms(settings, seed, epoch, sample_indices, pixels.shape[1], output_size)
    images = warp(pixels, transforms.affine, output_size)
    apply_pixelwise(images, settings, seed, epoch, sample_indices)
    return images, transforms


def apply_pixelwise(
    images: NDArray[np.uint8], settings: dict[str, Any], seed: int, epoch: int, sample_indices: NDArray[np.integer]
) -> None:
    """Change `images` (n, output_size, output_size, 3) in place as far as `settings` give a probability above 0."""
    used = [(number, name) for number, name in enumerate(PIXELWISE) if settings[name]["probability"] > 0]
    if not used:
        return
    drawn = draw(seed, epoch, sample_indices)
    for number, name in used:
        for index in np.flatnonzero(drawn[name] < settings[name]["probability"]):
            generator = np.random.default_rng(derived_seed(seed, epoch, int(sample_indices[index]), number))
            PIXELWISE[name](images[index], settings[name], generator)


def _hair(image: NDArray[np.uint8], settings: dict[str, Any], generator: Generator) -> None:
    """Draw 1 to `max_hairs` dark curves (quadratic Bezier), black to brown, antialiased."""
    for _ in range(generator.integers(1, settings["max_hairs"], endpoint=True)):
        width = max(round(generator.uniform(1, 3) * len(image) / HAIR_SIDE), 1)
        color = generator.uniform(0, 80) * np.array([1.0, 0.8, 0.65])
        curve = np.round(_curve(generator) * len(image) * 2**HAIR_DIGITS).astype(np.int32)
        cv2.polylines(image, [curve], False, color.tolist(), width, cv2.LINE_AA, HAIR_DIGITS)


def _curve(generator: Generator) -> NDArray[np.float64]:
    """A curve (points, 2) across the image, in units of its side: middle and direction even, slightly bent."""
    middle, angle = generator.random(2), generator.uniform(0, np.pi)
    half = np.array([np.cos(angle), np.sin(angle)]) * generator.uniform(0.1, 0.5)
    bend = half[::-1] * [1, -1] * generator.uniform(-1, 1)
    t = np.linspace(0, 1, HAIR_POINTS)[:, None]
    return (1 - t) ** 2 * (middle - half) + 2 * t * (1 - t) * (middle + bend) + t**2 * (middle + half)


def _blur(image: NDArray[np.uint8], settings: dict[str, Any], generator: Generator) -> None:
    """Blur by a Gaussian whose standard deviation is drawn evenly from the range."""
    cv2.GaussianBlur(image, (0, 0), generator.uniform(*settings["sigma"]), dst=image, borderType=cv2.BORDER_REFLECT_101)


def _cutout(image: NDArray[np.uint8], settings: dict[str, Any], generator: Generator) -> None:
    """Fill squares with ImageNet's mean color; their middles lie anywhere, so they may reach beyond the edge."""
    side = max(round(settings["size"] * len(image)), 1)
    for _ in range(settings["count"]):
        left, top = (generator.integers(0, len(image), 2) - side // 2).tolist()
        cv2.rectangle(image, (left, top, side, side), MEAN_COLOR.tolist(), cv2.FILLED)


PIXELWISE: dict[str, Callable[[NDArray[np.uint8], dict[str, Any], Generator], None]] = {
    "hair": _hair,
    "blur": _blur,
    "cutout": _cutout,
}
