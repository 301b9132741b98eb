"""Draws dermoscopy-like photographs of skin lesions whose malignant look is set by one number.

Lengths are fractions of the shorter side, so that a lesion looks the same at every image size. All that the
score does not set (skin, light, hairs, ruler, vignette) has a random stream of its own.
"""

import math
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np

CANVAS = 512  # pixels: a picture is drawn with this longer side and then enlarged
SKINS = np.float32(
    [[238, 208, 216], [240, 212, 196], [232, 192, 160], [218, 170, 118], [205, 138, 142], [168, 122, 94]]
)
SKIN_CHANCES = [0.3, 0.3, 0.2, 0.1, 0.06, 0.04]
BLOOD = np.float32([0.10, 0.62, 0.50])  # optical density in red, green, blue
VEIL = np.float32([94, 106, 136])
TILE = 256  # pixels: the side of the square of camera noise that is repeated
TRAIT_NOISE = 0.2  # standard deviation of what each trait adds to the score, independently


@dataclass(frozen=True)
class Traits:
    """How malignant a lesion looks in each respect, from 0 to 1: a dermatologist's A, B, C and more."""

    asymmetry: float
    border: float
    colors: float
    darkness: float
    veil: float


def draw_traits(rng: np.random.Generator, score: float) -> Traits:
    """Draw traits that each rise with `score` (a standard normal number), with independent noise."""
    noisy = score + TRAIT_NOISE * rng.standard_normal(5)
    return Traits(*(0.5 * (1 + math.erf(value / math.sqrt(2 * (1 + TRAIT_NOISE**2)))) for value in noisy))


def draw_photograph(rng: np.random.Generator, size: tuple[int, int], score: float) -> np.ndarray:
    """Draw a lesion with `score` as a photograph of `size` (width, height): uint8 (height, width, 3) RGB."""
    scene, lesion = rng.spawn(2)
    scale = CANVAS / max(size)
    shape = (round(size[1] * scale), round(size[0] * scale))
    image = cv2.resize(_skin(scene, (shape[0] // 2, shape[1] // 2)), shape[::-1])
    _add_lesion(lesion, image, draw_traits(lesion, score))
    _add_hairs(scene, image)
    _add_ruler(scene, image)
    _add_light(scene, image)
    image = cv2.resize(_bytes(image), size, interpolation=cv2.INTER_CUBIC)
    _add_grain(scene, image)
    return image


def _noise(rng: np.random.Generator, shape: tuple[int, int], cell: float, octaves: int = 1) -> np.ndarray:
    """Smooth noise of mean 0 and SD about 1, float32; its largest features are `cell` wide."""
    step = cell * min(shape)
    weights = 0.6 ** np.arange(octaves)
    total = np.zeros((2, 2), np.float32)
    for weight in weights / np.linalg.norm(weights):
        cells = [max(2, math.ceil(length / step) + 1) for length in shape]
        grid = np.float32(1.4 * weight) * rng.standard_normal(cells, np.float32)
        total = grid + cv2.resize(total, cells[::-1], interpolation=cv2.INTER_CUBIC)
        step = max(step / 2, 1.0)
    return cv2.resize(total, shape[::-1], interpolation=cv2.INTER_CUBIC)


def _above(field: np.ndarray, level: float, softness: float) -> np.ndarray:
    """Smooth step from 0 to 1 where `field` rises through `level`."""
    return 1 / (1 + cv2.exp((level - field) / softness))


def _tinted(planes: list[np.ndarray], colors: list[np.ndarray]) -> np.ndarray:
    """The sum of every plane (height, width) in its own color (3): float32 (height, width, 3)."""
    return cv2.transform(cv2.merge(planes), np.column_stack(colors).astype(np.float32))


def _skin(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    tone = SKINS[rng.choice(len(SKINS), p=SKIN_CHANCES)] + rng.normal(0, 5, 3).astype(np.float32)
    mottle = rng.uniform(0.005, 0.03) * _noise(rng, shape, 0.15, 4) + 0.012 * _noise(rng, shape, 0.015, 2)
    freckles = rng.uniform(0, 0.12) * _above(_noise(rng, shape, 0.06, 2), rng.uniform(1.2, 2.5), 0.25)
    flush = rng.uniform(0, 0.06) * _noise(rng, shape, 0.12, 4)
    return tone * cv2.exp(-_tinted([mottle + freckles, flush], [_melanin(rng), BLOOD]))


def _melanin(rng: np.random.Generator) -> np.ndarray:
    return np.float32([rng.uniform(0.4, 0.62), 0.95, rng.uniform(1.25, 1.75)])


def _add_lesion(rng: np.random.Generator, image: np.ndarray, traits: Traits) -> None:
    along, outside = _lesion_plane(rng, image.shape[:2], traits)
    box = _box(outside < 0.15)
    image, along, outside = image[box], along[box], outside[box]
    shape, inside = outside.shape, outside[::4, ::4] < 0
    fuzz = rng.uniform(0.012, 0.03)
    rough = fuzz * (0.3 + 0.7 * traits.border) * _noise(rng, shape, 0.08, 3)
    lesion = _above(-outside - rough, 0, fuzz)

    def patches(fraction: float, cell: float, softness: float) -> np.ndarray:
        """Blotches over a `fraction` of the lesion, the more to one side the more asymmetric it is."""
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
    image *= cv2.merge([1 - veil] * 3)
    image += _tinted([veil * (0.6 + 0.4 * texture)], [VEIL + rng.normal(0, 6, 3)])


def _box(mask: np.ndarray) -> tuple[slice, slice]:
    """The smallest rows and columns that hold all that is true in `mask`."""
    places = [np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)]
    return tuple(slice(place[0], place[-1] + 1) for place in places)


def _lesion_plane(rng: np.random.Generator, shape: tuple[int, int], traits: Traits) -> tuple[np.ndarray, np.ndarray]:
    """Position along the lesion's longer axis, and distance outside its border (negative inside)."""
    turn, stretch = rng.uniform(0, 2 * math.pi), rng.uniform(1, 1.25)
    x, y = _coordinates(shape, rng.normal(0, 0.05, 2))
    along = (math.cos(turn) * x + math.sin(turn) * y) / np.float32(stretch)
    across = (math.cos(turn) * y - math.sin(turn) * x) * np.float32(stretch)
    distance, angle = cv2.cartToPolar(along, across)
    border = _border(rng, traits)
    places = (angle * np.float32(len(border) / (2 * math.pi))).astype(np.int32) % len(border)
    return along, distance - border[places]


def _coordinates(shape: tuple[int, int], center: np.ndarray | tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """x (1, width) and y (height, 1) float32 from a `center` given as x, y from the middle of the picture."""
    height, width = shape
    x = (np.arange(width, dtype=np.float32) - width / 2) / min(shape) - center[0]
    y = (np.arange(height, dtype=np.float32) - height / 2) / min(shape) - center[1]
    return x[None, :].astype(np.float32), y[:, None].astype(np.float32)


def _border(rng: np.random.Generator, traits: Traits) -> np.ndarray:
    """Distance of the border from the lesion's center at equally spaced angles, float32."""
    waves = np.arange(2, 16)
    angles = np.linspace(0, 2 * math.pi, 2048, endpoint=False)
    size = np.where(waves <= 4, 0.03 + 0.13 * traits.asymmetry, (0.05 + 0.4 * traits.border) / waves)
    size = size * rng.uniform(0.5, 1.2, len(waves))
    bumps = size @ np.cos(np.outer(waves, angles) + rng.uniform(0, 2 * math.pi, (len(waves), 1)))
    return (rng.uniform(0.27, 0.33) * np.maximum(1 + bumps, 0.3)).astype(np.float32)


def _add_hairs(rng: np.random.Generator, image: np.ndarray) -> None:
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
        cv2.polylines(mask, [np.round(curve * 16).astype(np.int32)], False, 255, thickness, cv2.LINE_AA, 4)
    color = np.float32([62, 40, 30]) + np.float32([110, 85, 50]) * np.float32(rng.uniform(0, 1) ** 3)
    _paint(image, mask, color, rng.uniform(0.55, 0.9))


def _add_ruler(rng: np.random.Generator, image: np.ndarray) -> None:
    if rng.random() < 0.65:
        return
    height, width = image.shape[:2]
    unit = min(height, width)
    mask = np.zeros((height, width), np.uint8)
    length = 0.02 * unit
    thickness = max(1, round(0.003 * unit))
    ticks = np.arange(rng.integers(8, 18)) * rng.uniform(0.045, 0.07) * unit
    vertical = rng.random() < 0.5
    edge, begin = (rng.uniform(0.02, 0.06) + rng.choice([0, 0.88])), rng.uniform(0, 0.2) * unit
    for count, tick in enumerate(ticks + begin):
        reach = length * (2 if count % 5 == 0 else 1)
        ends = np.float64([[edge * width, tick], [edge * width + reach, tick]])
        if not vertical:
            ends = np.float64([[tick, edge * height], [tick, edge * height + reach]])
        cv2.polylines(mask, [np.round(ends * 16).astype(np.int32)], False, 255, thickness, cv2.LINE_AA, 4)
    place = (edge * width, ticks[-1] + begin + 0.06 * unit) if vertical else (begin, edge * height - 0.01 * unit)
    cv2.putText(
        mask,
        "mm",
        (round(place[0]), round(place[1])),
        cv2.FONT_HERSHEY_SIMPLEX,
        unit / 900,
        255,
        thickness,
        cv2.LINE_AA,
    )
    _paint(image, mask, np.float32([38, 34, 36]), 0.85)


def _paint(image: np.ndarray, mask: np.ndarray, color: np.ndarray, opacity: float) -> None:
    places = mask > 0
    amount = mask[places, None] * np.float32(opacity / 255)
    image[places] += amount * (color - image[places])


def _add_light(rng: np.random.Generator, image: np.ndarray) -> None:
    x, y = _coordinates(image.shape[:2], (0, 0))
    squared = x * x + y * y
    tilt = rng.normal(0, 0.05, 2).astype(np.float32)
    light = 1 + tilt[0] * x + tilt[1] * y - np.float32(rng.uniform(0, 0.2)) * squared
    if rng.random() < 0.08:
        light *= 1 - 0.93 * _above(np.sqrt(squared), rng.uniform(0.66, 0.85), rng.uniform(0.004, 0.02))
    balance = rng.uniform(0.92, 1.05) * rng.normal(1, 0.02, 3)
    image *= _tinted([light], [balance])


def _bytes(image: np.ndarray) -> np.ndarray:
    return np.clip(image, 0, 255).astype(np.uint8)


def _add_grain(rng: np.random.Generator, image: np.ndarray) -> None:
    """Add the camera's noise, repeated from a tile: drawing it for 24 megapixels would be slow."""
    noise = rng.uniform(1, 3) * rng.standard_normal((TILE, TILE), np.float32)
    tile = cv2.merge([np.round(noise).astype(np.int16)] * 3)
    for row, column in product(*(range(0, length, TILE) for length in image.shape[:2])):
        block = image[row : row + TILE, column : column + TILE]
        block[:] = cv2.add(block, tile[: block.shape[0], : block.shape[1]], dtype=cv2.CV_8U)
