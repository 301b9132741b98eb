"""A fixed set of corruptions of stored images, which shows how much a model depends on how an image was taken.

Severity 0 is the image as it is; 5 is the strongest. What is random in a corruption depends on the name of the image
alone, so it is the same for each model, in each study, and at each severity.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from melanoma.augment.pixelwise import draw_hair
from melanoma.images.store import ImageStore

Image = NDArray[np.uint8]
SEVERITIES = 5


class Corruption(NamedTuple):
    """What changes an image (S, S, 3) by a strength, and the strength of each severity from 1 to `SEVERITIES`."""

    change: Callable[[Image, float, Generator], Image]
    strengths: tuple[float, float, float, float, float]


def corrupt(image: Image, corruption: str, severity: int, name: str) -> Image:
    """Return a changed copy of the image of that `name`, uint8 (S, S, 3) RGB, by a corruption of `CORRUPTIONS`."""
    if severity == 0:
        return image.copy()
    change, strengths = CORRUPTIONS[corruption]
    return change(image, strengths[severity - 1], np.random.default_rng(list(name.encode())))


class CorruptedImages:
    """The images of a store with a corruption: an ImageReader."""

    def __init__(self, store: ImageStore, corruption: str, severity: int) -> None:
        self.store, self.corruption, self.severity = store, corruption, severity
        self.size = store.size

    def read(self, rows: Sequence[int] | NDArray[np.integer]) -> Image:
        """Return the images of `rows` in that order, uint8 (len(rows), size, size, 3)."""
        pixels = self.store.read(rows)
        for image, row in zip(pixels, rows, strict=True):
            image[:] = corrupt(image, self.corruption, self.severity, self.store.names[row])
        return pixels


def _blur(image: Image, strength: float, generator: Generator) -> Image:
    """Blur by a Gaussian whose standard deviation is a share of the side."""
    return _uint8(cv2.GaussianBlur(image, (0, 0), strength * len(image), borderType=cv2.BORDER_REFLECT_101))


def _jpeg(image: Image, strength: float, generator: Generator) -> Image:
    """Compress to JPEG. The quality is 100 minus the strength."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, round(100 - strength)]
    data = cv2.imencode(".jpg", np.ascontiguousarray(image[:, :, ::-1]), quality)[1]
    return _uint8(cv2.imdecode(data, cv2.IMREAD_COLOR))[:, :, ::-1]


def _brightness(image: Image, strength: float, generator: Generator) -> Image:
    """Make every second image, at random, brighter, and the others darker, by a share of the range."""
    shift = 255 * strength * (1 if generator.random() < 0.5 else -1)
    return _uint8(image + shift)


def _color_cast(image: Image, strength: float, generator: Generator) -> Image:
    """Multiply the colors by factors with a product of 1. The strength is the length of their logarithms."""
    direction = generator.normal(size=3)
    direction -= direction.mean()
    return _uint8(image * np.exp(strength * direction / np.linalg.norm(direction)))


def _hair(image: Image, strength: float, generator: Generator) -> Image:
    """Draw so many hairs. A higher severity adds hairs to the same ones."""
    drawn = image.copy()
    for _ in range(round(strength)):
        draw_hair(drawn, generator)
    return drawn


def _size(image: Image, strength: float, generator: Generator) -> Image:
    """Reduce the image by a factor and enlarge it again, as if it had been taken with fewer pixels."""
    side = max(round(len(image) / strength), 1)
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return _uint8(cv2.resize(small, (len(image), len(image)), interpolation=cv2.INTER_LINEAR))


def _uint8(pixels: object) -> Image:
    return np.asarray(np.clip(np.rint(np.asarray(pixels)), 0, 255), np.uint8)


CORRUPTIONS = {
    "blur": Corruption(_blur, (0.004, 0.008, 0.012, 0.016, 0.02)),
    "jpeg": Corruption(_jpeg, (20, 50, 70, 85, 93)),
    "brightness": Corruption(_brightness, (0.05, 0.1, 0.2, 0.3, 0.4)),
    "color_cast": Corruption(_color_cast, (0.05, 0.1, 0.2, 0.3, 0.4)),
    "hair": Corruption(_hair, (4, 8, 16, 32, 64)),
    "size": Corruption(_size, (1.5, 2, 3, 4, 6)),
}
