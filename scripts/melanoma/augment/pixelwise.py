"""Augmentation that no map of positions or colours can express: hair, blur and cutout, on the warped uint8 image.

The order is warp, hair, blur, cutout; noise and colours follow on the training device. What an image gets is a function
of (seed, epoch, position). A recipe that asks for none of them pays nothing.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from melanoma.augment.transforms import IMAGENET_MEAN, Maps, draw, random_maps, warp
from melanoma.common.rng import derived_seed

MEAN_COLOUR = np.round(255 * IMAGENET_MEAN).astype(np.uint8)
# Hairs are 1 to 3 pixels wide where the network sees this many.
HAIR_SIDE = 512
# Points of a hair's curve, and binary digits of a pixel that OpenCV draws it to.
HAIR_POINTS, HAIR_DIGITS = 24, 4


def augmented(
    stored: NDArray[np.uint8],
    settings: dict[str, Any],
    seed: int,
    epoch: int,
    positions: NDArray[np.integer],
    seen: int,
) -> tuple[NDArray[np.uint8], Maps]:
    """Return the images at `positions` of an epoch as they leave the loader, (n, seen, seen, 3), and their maps.

    `stored` (n, S, S, 3) are the same images as the store has them, `settings` the recipe's augmentation. Noise and
    colours of the maps are left to do.
    """
    maps = random_maps(settings, seed, epoch, positions, stored.shape[1], seen)
    images = warp(stored, maps.affine, seen)
    apply_stages(images, settings, seed, epoch, positions)
    return images, maps


def apply_stages(
    images: NDArray[np.uint8], settings: dict[str, Any], seed: int, epoch: int, positions: NDArray[np.integer]
) -> None:
    """Change `images` (n, seen, seen, 3) in place by the stages that `settings` give a probability above 0."""
    used = [(number, name) for number, name in enumerate(STAGES) if settings[name]["probability"] > 0]
    if not used:
        return
    drawn = draw(seed, epoch, positions)
    for number, name in used:
        for index in np.flatnonzero(drawn[name] < settings[name]["probability"]):
            generator = np.random.default_rng(derived_seed(seed, epoch, int(positions[index]), number))
            STAGES[name](images[index], settings[name], generator)


def _hair(image: NDArray[np.uint8], settings: dict[str, Any], generator: Generator) -> None:
    """Draw 1 to `max_hairs` dark curves (quadratic Bezier), black to brown, antialiased."""
    for _ in range(generator.integers(1, settings["max_hairs"], endpoint=True)):
        width = max(round(generator.uniform(1, 3) * len(image) / HAIR_SIDE), 1)
        colour = generator.uniform(0, 80) * np.array([1.0, 0.8, 0.65])
        curve = np.round(_curve(generator) * len(image) * 2**HAIR_DIGITS).astype(np.int32)
        cv2.polylines(image, [curve], False, colour.tolist(), width, cv2.LINE_AA, HAIR_DIGITS)


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
    """Fill squares with ImageNet's mean colour; their middles lie anywhere, so they may reach beyond the edge."""
    side = max(round(settings["size"] * len(image)), 1)
    for _ in range(settings["count"]):
        left, top = (generator.integers(0, len(image), 2) - side // 2).tolist()
        cv2.rectangle(image, (left, top, side, side), MEAN_COLOUR.tolist(), cv2.FILLED)


STAGES: dict[str, Callable[[NDArray[np.uint8], dict[str, Any], Generator], None]] = {
    "hair": _hair,
    "blur": _blur,
    "cutout": _cutout,
}
