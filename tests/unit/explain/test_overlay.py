"""A map over an image, and images in pages."""

import base64

import cv2
import numpy as np

from melanoma.explain.overlay import data_uri, overlay

IMAGE = np.full((32, 32, 3), (200, 120, 90), np.uint8)


def test_a_map_colors_the_image_only_where_there_is_heat():
    heat = np.zeros((32, 32), np.uint8)
    heat[8:16, 8:16] = 255
    changed = (overlay(IMAGE, heat) != IMAGE).any(axis=2)
    np.testing.assert_array_equal(changed, heat > 0)


def test_a_page_contains_the_image():
    kind, _, data = data_uri(IMAGE).partition(";base64,")
    assert kind == "data:image/webp"
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert pixels.shape == IMAGE.shape and np.abs(pixels.astype(int) - IMAGE).max() < 8
