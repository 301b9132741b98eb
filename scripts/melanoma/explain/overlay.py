"""A map of heat over its image, and images as WebP for pages."""

import base64

import cv2
import numpy as np
from numpy.typing import NDArray

STRENGTH = 0.5  # weight of the color where the heat is largest


def overlay(image: NDArray[np.uint8], heat: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image, uint8 (S, S, 3) RGB, with its map, uint8 (S, S), in color: the image where there is no heat."""
    colors = cv2.cvtColor(cv2.applyColorMap(heat, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    weight = heat[..., None] * np.float32(STRENGTH / 255)
    return np.asarray(np.rint(image * (1 - weight) + colors * weight), np.uint8)


def shrunk(heat: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return a map, uint8 (S, S), resized to `side` pixels."""
    return np.asarray(cv2.resize(heat, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def webp(pixels: NDArray[np.uint8], quality: int = 80) -> bytes:
    """Return an image, uint8 (h, w, 3) RGB, as a WebP file."""
    colors = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".webp", colors, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()


def data_uri(pixels: NDArray[np.uint8], quality: int = 80) -> str:
    """Return an image, uint8 (h, w, 3) RGB, as the address of a WebP file that a page contains."""
    return f"data:image/webp;base64,{base64.b64encode(webp(pixels, quality)).decode()}"
