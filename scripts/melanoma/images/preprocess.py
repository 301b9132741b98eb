"""From an image file to the square that is stored: border, fit, size, color."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from melanoma.config.data import Images
from melanoma.images.decode import decode, reduction, upright
from melanoma.images.header import Header

# Gray levels up to this one, of 255, are the black of a frame or of a dermatoscope's edge, with JPEG noise.
BLACK = 25
MINKOWSKI_NORM = 6


class Window(NamedTuple):
    """A part of an image, as fractions of its sides."""

    top: float
    left: float
    bottom: float
    right: float


WHOLE = Window(0.0, 0.0, 1.0, 1.0)


def crop_and_resize(data: bytes, header: Header, settings: Images) -> NDArray[np.uint8]:
    """Decode an image to uint8 (size, size, 3) RGB, upright.

    A large JPEG is decoded at a reduced size, if the part that is kept has at least `size` pixels a side. This takes a
    third of the time and changes the result by about one gray level. Raises Unreadable.
    """
    size = settings.size
    factor = reduction(header, size)
    pixels = decode(data, header, factor)
    window = bright_window(pixels) if settings.crop_border else WHOLE
    if window != WHOLE:
        kept = (header.height * (window.bottom - window.top), header.width * (window.right - window.left))
        enough = next((f for f in (8, 4, 2) if f <= factor and min(kept) / f >= size), 1)
        if enough < factor:
            factor = enough
            pixels = decode(data, header, factor)
    top, left, bottom, right = _edges(header, factor, window, settings.fit)
    image = upright(shrink(pixels[top:bottom, left:right], size), header.orientation)
    return shades_of_gray(image) if settings.color_constancy == "shades_of_gray" else image


def shrink(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize to a square in a new array. A side shrinks by area, which does not alias, and grows linearly."""
    height, width = pixels.shape[:2]
    if size < min(height, width) and max(height, width) < 2 * size:
        # Resize linearly to twice the size, then average 2 x 2 pixels. This is the area mean within 0.1 gray level. It
        # takes a third of the time of OpenCV's average over fractions of pixels.
        pixels = _resize(pixels, 2 * size, 2 * size, cv2.INTER_LINEAR)
        return _resize(pixels, size, size, cv2.INTER_AREA)
    if height == width == size:
        return pixels.copy()
    if max(height, width) > size:
        pixels = _resize(pixels, min(width, size), min(height, size), cv2.INTER_AREA)
    if min(height, width) < size:
        pixels = _resize(pixels, size, size, cv2.INTER_LINEAR)
    return pixels


def bright_window(pixels: NDArray[np.uint8]) -> Window:
    """Return the smallest window with every row and column of which at least a tenth of the pixels is not black.

    It excludes frames and bars, but not the dark corners around a round field of view. A black image is kept whole.
    """
    lit = (cv2.resize(pixels, (256, 256), interpolation=cv2.INTER_NEAREST).max(axis=2) > BLACK).astype(np.float32)
    rows, columns = (np.flatnonzero(lit.mean(axis=axis) >= 0.1) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return WHOLE
    return Window(*(float(edge) / 256 for edge in (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1)))


def shades_of_gray(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Remove the color of the light: scale the channels so that their Minkowski means of order 6 are equal.

    The method is from Finlayson and Trezzi (2004). The norm of the three means does not change, so the brightness
    stays.
    """
    levels = np.arange(256, dtype=np.float64)
    counts = np.stack([np.bincount(pixels[..., channel].ravel(), minlength=256) for channel in range(3)])
    light = (counts @ levels**MINKOWSKI_NORM / counts.sum(axis=1)) ** (1 / MINKOWSKI_NORM)
    if not light.all():
        return pixels
    gains = np.linalg.norm(light) / np.sqrt(3) / light
    table = (levels[:, None] * gains).round().clip(0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(pixels, table.reshape(1, 256, 3)), np.uint8)


def _resize(pixels: NDArray[np.uint8], width: int, height: int, interpolation: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=interpolation), np.uint8)


def _edges(header: Header, factor: int, window: Window, fit: str) -> tuple[int, int, int, int]:
    """Return top, left, bottom and right of the part that is kept, in pixels of the reduced image.

    They are computed on the full image and rounded to reduced pixels. The error is at most half a reduced pixel, which
    is at most half a pixel of the square.
    """
    top, bottom = round(window.top * header.height), round(window.bottom * header.height)
    left, right = round(window.left * header.width), round(window.right * header.width)
    if fit == "center_crop":
        side = max(1, min(bottom - top, right - left))
        top, left = (top + bottom - side) // 2, (left + right - side) // 2
        bottom, right = top + side, left + side
    # Every half is rounded up, so that a square stays a square.
    top, left, bottom, right = (int(edge / factor + 0.5) for edge in (top, left, bottom, right))
    return top, left, max(bottom, top + 1), max(right, left + 1)
