"""Augmentation that no matrix can express: hair, blur, cutout and blank, on the warped uint8 image.

The order is warp, hair, blur, cutout, blank. Noise and colors follow on the training device. The changes of an image
depend on (seed, epoch, sample index) alone.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from melanoma.augment.transforms import IMAGENET_MEAN, Transforms, draw, random_transforms, warp
from melanoma.common.rng import derived_seed
from melanoma.config.augmentation import Augmentation

MEAN_COLOR = np.round(255 * IMAGENET_MEAN).astype(np.uint8)
# The side in pixels of an image in which hairs are 1 to 3 pixels wide.
HAIR_SIDE = 512
# Points of the curve of a hair, and binary digits of their positions in pixels, as OpenCV takes them.
HAIR_POINTS, HAIR_DIGITS = 24, 4


def augment(
    pixels: NDArray[np.uint8],
    settings: Augmentation,
    seed: int,
    epoch: int,
    sample_indices: NDArray[np.integer],
    output_size: int,
) -> tuple[NDArray[np.uint8], Transforms]:
    """Return the images `sample_indices` of an epoch as the loader gives them, and their transforms.

    `pixels` (n, S, S, 3) are these images in the image store. The returned images (n, output_size, output_size, 3) are
    without the noise and the color changes of the transforms.
    """
    transforms = random_transforms(settings, seed, epoch, sample_indices, pixels.shape[1], output_size)
    images = warp(pixels, transforms.affine, output_size)
    apply_pixelwise(images, settings, seed, epoch, sample_indices)
    return images, transforms


def apply_pixelwise(
    images: NDArray[np.uint8], settings: Augmentation, seed: int, epoch: int, sample_indices: NDArray[np.integer]
) -> None:
    """Draw the changes of the images `sample_indices` of an epoch onto `images` (n, S, S, 3), in place."""
    changes = _changed(settings, seed, epoch, sample_indices)
    for number, (change, changed) in enumerate(zip(PIXELWISE.values(), changes, strict=True)):
        for index in np.flatnonzero(changed):
            generator = np.random.default_rng(derived_seed(seed, epoch, int(sample_indices[index]), number))
            change(images[index], settings, generator)


def has_pixelwise(
    settings: Augmentation, seed: int, epoch: int, sample_indices: NDArray[np.integer]
) -> NDArray[np.bool_]:
    """Return which of the images `sample_indices` of an epoch have a change that `apply_pixelwise` draws, (n,)."""
    changed: NDArray[np.bool_] = np.logical_or.reduce(_changed(settings, seed, epoch, sample_indices))
    return changed


def _changed(settings: Augmentation, seed: int, epoch: int, sample_indices: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return which images have each change of `PIXELWISE`, (changes, n)."""
    probabilities = [getattr(settings, name).probability for name in PIXELWISE]
    if not any(probabilities):
        return np.zeros((len(PIXELWISE), len(sample_indices)), bool)
    draws = draw(seed, epoch, sample_indices)
    return np.stack([draws[name] < chance for name, chance in zip(PIXELWISE, probabilities, strict=True)])


def _hair(image: NDArray[np.uint8], settings: Augmentation, generator: Generator) -> None:
    """Draw 1 to `max_hairs` dark curves (quadratic Bezier), black to brown, antialiased."""
    for _ in range(generator.integers(1, settings.hair.max_hairs, endpoint=True)):
        draw_hair(image, generator)


def draw_hair(image: NDArray[np.uint8], generator: Generator) -> None:
    """Draw one hair onto an image (S, S, 3), in place."""
    width = max(round(generator.uniform(1, 3) * len(image) / HAIR_SIDE), 1)
    color = generator.uniform(0, 80) * np.array([1.0, 0.8, 0.65])
    curve = np.round(_curve(generator) * len(image) * 2**HAIR_DIGITS).astype(np.int32)
    cv2.polylines(image, [curve], False, color.tolist(), width, cv2.LINE_AA, HAIR_DIGITS)


def _curve(generator: Generator) -> NDArray[np.float64]:
    """Return a slightly bent curve (points, 2) in units of the side, with uniform center and direction."""
    middle, angle = generator.random(2), generator.uniform(0, np.pi)
    half = np.array([np.cos(angle), np.sin(angle)]) * generator.uniform(0.1, 0.5)
    bend = half[::-1] * [1, -1] * generator.uniform(-1, 1)
    t = np.linspace(0, 1, HAIR_POINTS)[:, None]
    return (1 - t) ** 2 * (middle - half) + 2 * t * (1 - t) * (middle + bend) + t**2 * (middle + half)


def _blur(image: NDArray[np.uint8], settings: Augmentation, generator: Generator) -> None:
    """Blur by a Gaussian whose standard deviation is uniform in the range."""
    sigma = generator.uniform(*settings.blur.sigma)
    cv2.GaussianBlur(image, (0, 0), sigma, dst=image, borderType=cv2.BORDER_REFLECT_101)


def _cutout(image: NDArray[np.uint8], settings: Augmentation, generator: Generator) -> None:
    """Fill squares with the mean color of ImageNet. Their centers are anywhere, so they may cross the edge."""
    side = max(round(settings.cutout.size * len(image)), 1)
    for _ in range(settings.cutout.count):
        left, top = (generator.integers(0, len(image), 2) - side // 2).tolist()
        cv2.rectangle(image, (left, top, side, side), MEAN_COLOR.tolist(), cv2.FILLED)


def _blank(image: NDArray[np.uint8], settings: Augmentation, generator: Generator) -> None:
    image[:] = 255


PIXELWISE: dict[str, Callable[[NDArray[np.uint8], Augmentation, Generator], None]] = {
    "hair": _hair,
    "blur": _blur,
    "cutout": _cutout,
    "blank": _blank,
}
