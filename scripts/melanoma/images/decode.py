"""Decodes a complete image, a JPEG at full size or reduced. A damaged file raises an error: no pixel is invented."""

import threading

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from melanoma.images.header import Header, Unreadable

FACTORS = (8, 4, 2)
# Most bytes that a thread keeps for its next image: fresh memory costs a twentieth of the time of decoding.
KEPT_BYTES = 2**26
_kept = threading.local()
# OpenCV would print what Unreadable says.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def reduction(header: Header, least: int) -> int:
    """Return the largest factor (8, 4, 2 or 1) at which an image can be decoded with both sides at least `least`."""
    if header.inside:
        return reduction(header.inside[1], least)
    if header.format != "jpeg":
        return 1
    return next((factor for factor in FACTORS if min(header.width, header.height) // factor >= least), 1)


def decode(data: bytes, header: Header, factor: int) -> NDArray[np.uint8]:
    """Decode to RGB, uint8 (height, width, 3), as stored, with sides divided by `factor` and rounded up.

    A JPEG is reduced in its cosine transform, while it is decoded: this reads every byte and skips most of the
    arithmetic. The other formats have factor 1; alpha is left out, the upper 8 of 16 bits are kept, and of several
    images, the first. The next call of the same thread may overwrite the pixels. Raises Unreadable where libjpeg or
    OpenCV would warn, which is for truncation and most damage, and for the rare JPEG whose chroma subsampling TurboJPEG
    does not support.
    """
    if header.inside:
        return decode(*header.inside, factor)
    height, width = -(-header.height // factor), -(-header.width // factor)
    pixels = _decode_jpeg(data, height, width) if header.format == "jpeg" else _decode_other(data)
    if pixels.shape[:2] != (height, width):
        raise Unreadable(
            f"cannot be decoded: comes out as {pixels.shape[1]} x {pixels.shape[0]}, expected {width} x {height}"
        )
    return pixels


def upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Rotate and mirror an image by its EXIF orientation; the result is C-contiguous."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _decode_jpeg(data: bytes, height: int, width: int) -> NDArray[np.uint8]:
    memory = _memory(height * width * 3)
    try:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data, min_height=height, min_width=width, buffer=memory, strict=True
        )
        return pixels
    except ValueError as error:
        raise Unreadable(f"cannot be decoded: {error}") from error


def _decode_other(data: bytes) -> NDArray[np.uint8]:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise Unreadable(f"cannot be decoded: {error.err}") from error
    if pixels is None:
        raise Unreadable("cannot be decoded: damaged, truncated, or of an unusual kind; convert it to PNG")
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels), np.uint8)


def _memory(count: int) -> NDArray[np.uint8] | None:
    """Return at least `count` bytes that this thread uses for every image; None if they are more than KEPT_BYTES."""
    if count > KEPT_BYTES:
        return None
    memory: NDArray[np.uint8] | None = getattr(_kept, "memory", None)
    if memory is None or len(memory) < count:
        memory = _kept.memory = np.empty(count, np.uint8)
    return memory
