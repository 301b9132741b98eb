"""From the pixels of an image to the square that is stored: border, fit, size, color."""

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from melanoma.images.decode import decode, reduction, upright
from melanoma.images.header import Header

# Darker than this, of 255, is the black of a frame or of a dermatoscope's edge, in JPEG noise.
BLACK = 25
MINKOWSKI_NORM = 6


class Window(NamedTuple):
    """A part of an image, as fractions of its sides."""

    top: float
    left: float
    bottom: float
    right: float


WHOLE = Window(0.0, 0.0, 1.0, 1.0)


def crop_and_resize(data: bytes, header: Header, settings: dict[str, Any]) -> NDArray[np.uint8]:
    """Decode an image to uint8 (size, size, 3) RGB, upright.

    `settings`: size, fit (center_crop keeps the largest centered square, resize squeezes the whole image), crop_border,
    color_constancy. A large JPEG is decoded reduced, as long as what is kept of it has at least `size` pixels a side:
    the same image within a gray level or so, in a third of the time. Raises Unreadable.
    """
    size = settings["size"]
    factor = reduction(header, size)
    pixels = decode(data, header, factor)
    window = bright_window(pixels) if settings["crop_border"] else WHOLE
    if window != WHOLE:
        kept = (header.height * (window.bottom - window.top), header.width * (window.right - window.left))
        enough = next((f for f in (8, 4, 2) if f <= factor and min(kept) / f >= size), 1)
        if enough < factor:
            factor = enough
            pixels = decode(data, header, factor)
    top, left, bottom, right = _edges(header, factor, window, settings["fit"])
    image = upright(shrink(pixels[top:bottom, left:right], size), header.orientation)
    return shades_of_gray(image) if settings["color_constancy"] == "shades_of_gray" else image


def shrink(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize to a new square: shrink by area, which does not alias, enlarge linearly; a long thin image needs both."""
    height, width = pixels.shape[:2]
    if size < min(height, width) and max(height, width) < 2 * size:
        # The mean over 2 x 2 of the image drawn linearly at twice the size is the area mean within .1 gray level, in a
        # third of the time that OpenCV takes for an area mean over fractions of pixels.
        pixels = cv2.resize(pixels, (2 * size, 2 * size), interpolation=cv2.INTER_LINEAR)
        return cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA)
    if height == width == size:
        return pixels.copy()
    if max(height, width) > size:
        pixels = cv2.resize(pixels, (min(width, size), min(height, size)), interpolation=cv2.INTER_AREA)
    if min(height, width) < size:
        pixels = cv2.resize(pixels, (size, size), interpolation=cv2.INTER_LINEAR)
    return pixels


def bright_window(pixels: NDArray[np.uint8]) -> Window:
    """Return the smallest window that holds every row and column with a tenth of its pixels, or more, not black.

    Frames and bars go; the dark corners around a round field of view stay. An image that is all black is left whole.
    """
    lit = (cv2.resize(pixels, (256, 256), interpolation=cv2.INTER_NEAREST).max(axis=2) > BLACK).astype(np.float32)
    rows, columns = (np.flatnonzero(lit.mean(axis=axis) >= 0.1) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return WHOLE
    return Window(*(float(edge) / 256 for edge in (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1)))


def shades_of_gray(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Remove the color of the light: scale each channel so that their Minkowski means of order 6 are equal.

    Finlayson and Trezzi (2004). The norm of the three means stays, so that brightness does.
    """
    levels = np.arange(256, dtype=np.float64)
    counts = np.stack([np.bincount(pixels[..., channel].ravel(), minlength=256) for channel in range(3)])
    light = (counts @ levels**MINKOWSKI_NORM / counts.sum(axis=1)) ** (1 / MINKOWSKI_NORM)
    if not light.all():
        return pixels
    gains = np.linalg.norm(light) / np.sqrt(3) / light
    table = (levels[:, None] * gains).round().clip(0, 255).astype(np.uint8)
    return cv2.LUT(pixels, table.reshape(1, 256, 3))


def _edges(header: Header, factor: int, window: Window, fit: str) -> tuple[int, int, int, int]:
    """Return top, left, bottom, right of the part that is kept, in pixels of the reduced image.

    They are computed on the full image and rounded to a reduced pixel, so they are off by at most half of one, which is
    at most half a pixel of the square. The last reduced pixel may hang over the edge of the image, and is cut then.
    """
    top, bottom = round(window.top * header.height), round(window.bottom * header.height)
    left, right = round(window.left * header.width), round(window.right * header.width)
    if fit == "center_crop":
        side = max(1, min(bottom - top, right - left))
        top, left = (top + bottom - side) // 2, (left + right - side) // 2
        bottom, right = top + side, left + side
    # Half is rounded up everywhere, so that a square stays one.
    top, left, bottom, right = (int(edge / factor + 0.5) for edge in (top, left, bottom, right))
    return top, left, max(bottom, top + 1), max(right, left + 1)
