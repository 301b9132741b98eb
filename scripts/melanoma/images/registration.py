"""Registers two small gray images, and says how much of their fine structure agrees."""

from functools import cache

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

COARSE = 0.25  # scale of the first registration
# A pair must reach both after the first registration. Of the pairs of unrelated images that look alike, 2 % do; of the
# copies, more than 99.5 %.
COARSE_CORRELATION, HALF_CORRELATION = 0.68, 0.45
DISC = 0.92  # share of each side: the rim of a lens, which many images share, is outside of it
LEAST_OVERLAP = 0.5  # share of the disc
TRANSPOSED, ROWS_FLIPPED, COLUMNS_FLIPPED = 4, 2, 1  # an orientation is a sum of these flags

Affine = NDArray[np.float64]  # (3, 3), from the pixels (x, y, 1) of one image to those of another


def local_contrast(gray: MatLike, blur: float, noise: float) -> NDArray[np.float32]:
    """Subtract the local mean and divide by the local deviation, so that skin counts as much as a dark lesion.

    `blur` is the scale in pixels. Where the deviation is below `noise`, in gray levels, the result is near 0.
    """
    pixels = gray.astype(np.float32)
    return _standard(pixels - cv2.GaussianBlur(pixels, (0, 0), blur), blur, noise)


def coarse(gray: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the image of the first registration."""
    return local_contrast(_scaled(gray, COARSE), 3, 4)


def starting_map(shape: tuple[int, int], window: tuple[float, float, float, float], orientation: int) -> Affine:
    """Map an image of `shape` (height, width) onto a window (x, y, width, height) of another in an orientation."""
    height, width = shape
    x, y, across, down = window
    to_unit = np.array([[1 / width, 0, 0.5 / width], [0, 1 / height, 0.5 / height], [0, 0, 1]])
    turn = np.eye(3)
    if orientation & COLUMNS_FLIPPED:
        turn = np.array([[-1.0, 0, 1], [0, 1, 0], [0, 0, 1]]) @ turn
    if orientation & ROWS_FLIPPED:
        turn = np.array([[1.0, 0, 0], [0, -1, 1], [0, 0, 1]]) @ turn
    if orientation & TRANSPOSED:
        turn = turn[[1, 0, 2]]
    to_window = np.array([[across, 0, x - 0.5], [0, down, y - 0.5], [0, 0, 1]])
    return np.asarray(to_window @ turn @ to_unit, np.float64)


def agreement(
    one: NDArray[np.uint8],
    other: NDArray[np.uint8],
    coarse_one: NDArray[np.float32],
    coarse_other: NDArray[np.float32],
    start: Affine,
) -> float:
    """Return the correlation of the fine structure of two registered images; 0 if a step before finds too little.

    `start` maps pixels of `one` to pixels of `other`; three registrations, from coarse to fine, make it exact.
    """
    correlation, affine = _register(coarse_one, coarse_other, _rescaled(start, COARSE), 15, 1)
    if correlation < COARSE_CORRELATION:
        return 0.0
    half_one, half_other = _scaled(one, 0.5), _scaled(other, 0.5)
    affine = _rescaled(affine, 0.5 / COARSE)
    if correlation_of_detail(half_one, half_other, affine, 0.7, 2.5, 2) < HALF_CORRELATION:
        return 0.0
    _, affine = _register(local_contrast(half_one, 3, 4), local_contrast(half_other, 3, 4), affine, 20, 3)
    affine = _rescaled(affine, 2)
    _, affine = _register(local_contrast(one, 3, 3), local_contrast(other, 3, 3), affine, 10, 3)
    return max(correlation_of_detail(one, other, affine, 1.2, 3, 0.5), 0.0)


def correlation_of_detail(one: MatLike, other: MatLike, affine: Affine, low: float, high: float, noise: float) -> float:
    """Correlate the detail between two scales, each divided by its local deviation, where both discs overlap."""
    height, width = one.shape
    warp = np.ascontiguousarray(affine[:2])
    moved = cv2.warpAffine(
        other, warp, (width, height), flags=cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    disc, flags = _disc(height, width), cv2.WARP_INVERSE_MAP | cv2.INTER_NEAREST
    inside = np.greater(cv2.warpAffine(_disc(*other.shape), warp, (width, height), flags=flags) * disc, 0)
    if inside.sum() < LEAST_OVERLAP * disc.sum():
        return 0.0
    first, second = (detail(image, low, high, noise)[inside] for image in (one, moved))
    norm = np.sqrt((first @ first) * (second @ second))
    return float(first @ second / norm) if norm > 0 else 0.0


def detail(gray: MatLike, low: float, high: float, noise: float) -> NDArray[np.float32]:
    """Return the detail between two scales, in pixels, divided by its local deviation."""
    pixels = gray.astype(np.float32)
    return _standard(cv2.GaussianBlur(pixels, (0, 0), low) - cv2.GaussianBlur(pixels, (0, 0), high), 2 * high, noise)


def _register(one: MatLike, other: MatLike, affine: Affine, iterations: int, blur: int) -> tuple[float, Affine]:
    """Refine an affine map by its correlation (Evangelidis and Psarakis 2008); return that and the map."""
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, iterations, 1e-3)
    warp: MatLike = np.ascontiguousarray(affine[:2], np.float32)
    everywhere = np.full(other.shape, 255, np.uint8)
    try:
        correlation, warp = cv2.findTransformECC(one, other, warp, cv2.MOTION_AFFINE, stop, everywhere, blur)
    except cv2.error:  # no convergence: the two have nothing in common
        return 0.0, affine
    return correlation, np.vstack([warp, [0, 0, 1]]).astype(np.float64)


def _rescaled(affine: Affine, scale: float) -> Affine:
    """Return a map between two images for the same two images at `scale`; pixels are counted from their centers."""
    grow = np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2], [0, 0, 1]])
    return np.asarray(grow @ affine @ np.linalg.inv(grow), np.float64)


def _scaled(gray: MatLike, scale: float) -> MatLike:
    height, width = (max(8, round(side * scale)) for side in gray.shape)
    return cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA)


def _standard(band: MatLike, blur: float, noise: float) -> NDArray[np.float32]:
    return np.asarray(band / np.sqrt(cv2.GaussianBlur(band * band, (0, 0), blur) + noise**2), np.float32)


@cache
def _disc(height: int, width: int) -> NDArray[np.uint8]:
    y, x = (np.linspace(-1 + 1 / side, 1 - 1 / side, side) for side in (height, width))
    return np.less(y[:, None] ** 2 + x**2, DISC**2).astype(np.uint8)
