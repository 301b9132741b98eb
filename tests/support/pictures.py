"""Pictures for tests of image preparation, and the ways to encode and decode them."""

import io

import cv2
import numpy as np
from PIL import Image

from melanoma.config.data import Images
from melanoma.images.header import read_header
from melanoma.images.preprocess import crop_and_resize


def smooth(width: int, height: int, seed: int = 0) -> np.ndarray:
    """Return a smooth random RGB image, similar to skin."""
    coarse = np.random.default_rng(seed).integers(64, 192, (6, 6, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def noisy(count: int, side: int) -> np.ndarray:
    """Return images of noise, uint8 (count, side, side, 3), in which every change of a pixel is visible."""
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def encode(pixels: np.ndarray, suffix: str = ".jpg", quality: int = 95) -> bytes:
    """Encode RGB pixels, with 4:4:4 colors: subsampled ones would blur the comparison."""
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    return cv2.imencode(suffix, pixels[..., ::-1], options if suffix == ".jpg" else [])[1].tobytes()


def jpeg_with(pixels: np.ndarray, **options: object) -> bytes:
    """Encode RGB pixels by Pillow, which writes EXIF, thumbnails and CMYK."""
    file = io.BytesIO()
    Image.fromarray(pixels).convert(str(options.pop("mode", "RGB"))).save(file, "JPEG", quality=95, **options)
    return file.getvalue()


def decode(data: bytes, size: int, fit: str, **options: object) -> np.ndarray:
    """Decode to the square that is stored."""
    return crop_and_resize(data, read_header(data), Images().model_copy(update={"size": size, "fit": fit, **options}))


def header_size(data: bytes) -> tuple[int, int]:
    header = read_header(data)
    return header.width, header.height
