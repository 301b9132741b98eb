"""Draws images of skin lesions, similar to dermoscopy. One number, the score, sets how malignant a lesion looks.

Lengths are fractions of the shorter side, so a lesion looks the same in every image size. Skin, light, hairs, ruler and
vignette have their own random stream, so they do not depend on the score.
"""

import math
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

Floats = NDArray[np.float32]
CANVAS = 512  # pixels: the longer side of the image that is drawn and then enlarged
SKINS = np.array(
    [[238, 208, 216], [240, 212, 196], [232, 192, 160], [218, 170, 118], [205, 138, 142], [168, 122, 94]], np.float32
)
SKIN_CHANCES = [0.3, 0.3, 0.2, 0.1, 0.06, 0.04]
BLOOD = np.array([0.10, 0.62, 0.50], np.float32)  # optical density in red, green, blue
VEIL, RULER = np.array([94, 106, 136], np.float32), np.array([38, 34, 36], np.float32)
DARK_HAIR, FAIR_HAIR = np.array([62, 40, 30], np.float32), np.array([110, 85, 50], np.float32)  # the latter is added
TILE = 256  # pixels: the side of the square of camera noise that is repeated
TRAIT_NOISE = 0.2  # standard deviation of the independent noise of each trait


@dataclass(frozen=True)
class Traits:
    """How malignant a lesion looks in each respect, from 0 to 1: the A, B, C of dermatologists and more."""

    asymmetry: float
    border: float
    colors: float
    darkness: float
    veil: float


def draw_traits(rng: np.random.Generator, score: float) -> Traits:
    """Draw traits that each rise with `score` (a standard normal number), with independent noise."""
    noisy = score + TRAIT_NOISE * rng.standard_normal(5)
    return Traits(*(0.5 * (1 + math.erf(value / math.sqrt(2 * (1 + TRAIT_NOISE**2)))) for value in noisy))


def draw_photograph(rng: np.random.Generator, size: tuple[int, int], score: float) -> NDArray[np.uint8]:
    """Draw a lesion with `score` in an image of `size` (width, height): uint8 (height, width, 3) RGB."""
    scene, lesion = rng.spawn(2)
    scale = CANVAS / max(size)
    shape = (round(size[1] * scale), round(size[0] * scale))
    image = np.asarray(cv2.resize(_skin(scene, (shape[0] // 2, shape[1] // 2)), shape[::-1]), np.float32)
    _add_lesion(lesion, image, draw_traits(lesion, score))
    _add_hairs(scene, image)
    _add_ruler(scene, image)
    _add_light(scene, image)
    photograph = cv2.resize(np.clip(image, 0, 255).astype(np.uint8), size, interpolation=cv2.INTER_CUBIC)
    _add_grain(scene, photograph)
    return np.asarray(photograph, np.uint8)


def _noise(rng: np.random.Generator, shape: tuple[int, int], cell: float, octaves: int) -> Floats:
    """Return smooth noise of mean 0 and SD about 1; its largest features have the width `cell`."""
    step = cell * min(shape)
    weights = 0.6 ** np.arange(octaves)
    total: MatLike = np.zeros((2, 2), np.float32)
    for weight in weights / np.linalg.norm(weights):
        cells = [max(2, math.ceil(length / step) + 1) for length in shape]
        grid = np.float32(1.4 * weight) * rng.standard_normal(cells, np.float32)
        total = grid + cv2.resize(total, cells[::-1], interpolation=cv2.INTER_CUBIC)
        step = max(step / 2, 1.0)
    return np.asarray(cv2.resize(total, shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def _above(field: Floats, level: float, softness: float) -> Floats:
    """Return a smooth step from 0 to 1 where `field` rises through `level`."""
    return np.asarray(1 / (1 + cv2.exp((level - field) / softness)), np.float32)


def _tinted(planes: list[NDArray[np.floating]], colors: list[NDArray[np.floating]]) -> Floats:
    """Return the sum of the planes (height, width), each in its color (3): (height, width, 3)."""
    return np.asarray(cv2.transform(cv2.merge(planes), np.column_stack(colors).astype(np.float32)), np.float32)


def _skin(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    tone = SKINS[rng.choice(len(SKINS), p=SKIN_CHANCES)] + rng.normal(0, 5, 3).astype(np.float32)
    mottle = rng.uniform(0.005, 0.03) * _noise(rng, shape, 0.15, 4) + 0.012 * _noise(rng, shape, 0.015, 2)
    freckles = rng.uniform(0, 0.12) * _above(_noise(rng, shape, 0.06, 2), rng.uniform(1.2, 2.5), 0.25)
    flush = rng.uniform(0, 0.06) * _noise(rng, shape, 0.12, 4)
    return np.asarray(tone * cv2.exp(-_tinted([mottle + freckles, flush], [_melanin(rng), BLOOD])), np.float32)


def _melanin(rng: np.random.Generator) -> Floats:
    return np.array([rng.uniform(0.4, 0.62), 0.95, rng.uniform(1.25, 1.75)], np.float32)


def _add_lesion(rng: np.random.Generator, image: Floats, traits: Traits) -> None:
    along, outside = _lesion_plane(rng, image.shape[:2], traits)
    box = _box(outside < 0.15)
    image, along, outside = image[box], along[box], outside[box]
    shape, inside = outside.shape, outside[::4, ::4] < 0
    fuzz = rng.uniform(0.012, 0.03)
    rough = fuzz * (0.3 + 0.7 * traits.border) * _noise(rng, shape, 0.08, 3)
    lesion = _above(-outside - rough, 0, fuzz)

    def patches(fraction: float, cell: float, softness: float) -> Floats:
        """Return blotches on a `fraction` of the lesion; on an asymmetric lesion they are on one side."""
        field = _noise(rng, shape, cell, 3) + 4 * traits.asymmetry * along
        return lesion * _above(field, float(np.quantile(field[::4, ::4][inside], 1 - fraction)), softness)

    network = np.abs(_noise(rng, shape, 0.035, 2))
    texture = 1 + 0.2 * _noise(rng, shape, 0.13, 3) - rng.uniform(0, 0.3) * (network - 0.8)
    brown = (0.15 + 0.8 * traits.darkness + rng.uniform(-0.05, 0.05)) * texture * (1 + traits.asymmetry * along)
    dark = patches(0.03 + 0.5 * traits.darkness, 0.22, 0.3) * (0.2 + 1.3 * traits.darkness)
    black = patches(0.01 + 0.16 * traits.colors, 0.15, 0.15) * 1.6 * traits.colors
    red = patches(0.03 + 0.25 * traits.colors, 0.25, 0.4) * (0.2 + 0.7 * traits.colors) + 0.12 * lesion
    image *= cv2.exp(-_tinted([lesion * brown + dark + black, red], [_melanin(rng), BLOOD]))
    veil = patches(0.02 + 0.55 * traits.veil, 0.3, 0.35) * 0.85 * traits.veil * np.clip(texture, 0, 1)
    image *= 1 - veil[..., None]
    image += _tinted([veil * (0.6 + 0.4 * texture)], [VEIL + rng.normal(0, 6, 3)])


def _box(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Return the smallest rows and columns with everything that is true in `mask`."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _lesion_plane(
    rng: np.random.Generator, shape: tuple[int, ...], traits: Traits
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return the position along the longer axis of the lesion, and the distance to its border (negative inside)."""
    turn, stretch = rng.uniform(0, 2 * math.pi), rng.uniform(1, 1.25)
    x, y = _coordinates(shape, *rng.normal(0, 0.05, 2))
    along = (math.cos(turn) * x + math.sin(turn) * y) / np.float32(stretch)
    across = (math.cos(turn) * y - math.sin(turn) * x) * np.float32(stretch)
    distance, angle = cv2.cartToPolar(along, across)
    border = _border(rng, traits)
    places = (angle * np.float32(len(border) / (2 * math.pi))).astype(np.int32) % len(border)
    return along, distance - border[places]


def _coordinates(shape: tuple[int, ...], right: float = 0, down: float = 0) -> tuple[Floats, Floats]:
    """Return x (1, width) and y (height, 1) from a center that lies `right` and `down` of the middle of the image."""
    height, width = shape
    x = (np.arange(width, dtype=np.float32) - width / 2) / min(shape) - right
    y = (np.arange(height, dtype=np.float32) - height / 2) / min(shape) - down
    return x[None, :].astype(np.float32), y[:, None].astype(np.float32)


def _border(rng: np.random.Generator, traits: Traits) -> Floats:
    """Return the distance of the border from the center of the lesion, at equal steps of the angle."""
    waves = np.arange(2, 16)
    angles = np.linspace(0, 2 * math.pi, 2048, endpoint=False)
    size = np.where(waves <= 4, 0.03 + 0.13 * traits.asymmetry, (0.05 + 0.4 * traits.border) / waves)
    size = size * rng.uniform(0.5, 1.2, len(waves))
    bumps = size @ np.cos(np.outer(waves, angles) + rng.uniform(0, 2 * math.pi, (len(waves), 1)))
    return np.asarray(rng.uniform(0.27, 0.33) * np.maximum(1 + bumps, 0.3), np.float32)


def _add_hairs(rng: np.random.Generator, image: Floats) -> None:
    if rng.random() < 0.5:
        return
    unit = min(image.shape[:2])
    mask = np.zeros(image.shape[:2], np.uint8)
    direction = rng.uniform(0, 2 * math.pi)
    spread = rng.uniform(0.2, 1.2)
    steps = np.linspace(0, 1, 24)[:, None]
    for _ in range(rng.geometric(0.1)):
        start = rng.uniform(-0.1, 1.1, 2) * image.shape[1::-1]
        heading = direction + spread * rng.standard_normal() + rng.normal(0, 0.5) * steps
        curve = start + rng.uniform(0.2, 0.9) * unit / 24 * np.cumsum(
            np.hstack([np.cos(heading), np.sin(heading)]), axis=0
        )
        thickness = max(1, round(rng.uniform(0.001, 0.0045) * unit))
        _draw_line(mask, curve, thickness)
    color = DARK_HAIR + FAIR_HAIR * np.float32(rng.uniform(0, 1) ** 3)
    _paint(image, mask, color, rng.uniform(0.55, 0.9))


def _add_ruler(rng: np.random.Generator, image: Floats) -> None:
    if rng.random() < 0.65:
        return
    height, width = image.shape[:2]
    unit = min(height, width)
    mask = np.zeros((height, width), np.uint8)
    thickness = max(1, round(0.003 * unit))
    ticks = np.arange(rng.integers(8, 18)) * rng.uniform(0.045, 0.07) * unit
    vertical = rng.random() < 0.5
    edge = (rng.uniform(0.02, 0.06) + rng.choice([0, 0.88])) * (width if vertical else height)
    ticks += rng.uniform(0, 0.2) * unit
    for count, tick in enumerate(ticks):
        ends = np.array([[edge, tick], [edge + 0.02 * unit * (2 if count % 5 == 0 else 1), tick]])
        _draw_line(mask, ends if vertical else ends[:, ::-1], thickness)
    x, y = (edge, ticks[-1] + 0.06 * unit) if vertical else (ticks[0], edge - 0.01 * unit)
    cv2.putText(mask, "mm", (round(x), round(y)), cv2.FONT_HERSHEY_SIMPLEX, unit / 900, 255, thickness, cv2.LINE_AA)
    _paint(image, mask, RULER, 0.85)


def _draw_line(mask: NDArray[np.uint8], points: NDArray[np.float64], thickness: int) -> None:
    """Draw a smooth line through points (n, 2), x and y in pixels; OpenCV takes them in sixteenths of a pixel."""
    cv2.polylines(mask, [np.round(points * 16).astype(np.int32)], False, [255], thickness, cv2.LINE_AA, 4)


def _paint(image: Floats, mask: NDArray[np.uint8], color: Floats, opacity: float) -> None:
    places = mask > 0
    amount = mask[places, None] * np.float32(opacity / 255)
    image[places] += amount * (color - image[places])


def _add_light(rng: np.random.Generator, image: Floats) -> None:
    x, y = _coordinates(image.shape[:2])
    squared = x * x + y * y
    tilt = rng.normal(0, 0.05, 2).astype(np.float32)
    light = 1 + tilt[0] * x + tilt[1] * y - np.float32(rng.uniform(0, 0.2)) * squared
    if rng.random() < 0.08:
        light *= 1 - 0.93 * _above(np.sqrt(squared), rng.uniform(0.66, 0.85), rng.uniform(0.004, 0.02))
    balance = rng.uniform(0.92, 1.05) * rng.normal(1, 0.02, 3)
    image *= _tinted([light], [balance])


def _add_grain(rng: np.random.Generator, image: MatLike) -> None:
    """Add the noise of a camera. It repeats a tile: random numbers for 24 megapixels would take long."""
    noise = rng.uniform(1, 3) * rng.standard_normal((TILE, TILE), np.float32)
    tile = cv2.merge([np.round(noise).astype(np.int16)] * 3)
    for row, column in product(*(range(0, length, TILE) for length in image.shape[:2])):
        block = image[row : row + TILE, column : column + TILE]
        block[:] = cv2.add(block, tile[: block.shape[0], : block.shape[1]], dtype=cv2.CV_8U)
