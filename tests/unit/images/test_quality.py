"""Each measure of a stored image rises with the property in its name, and with no other."""

import cv2
import numpy as np

from melanoma.images.quality import measure


def test_sharpness_falls_with_blur() -> None:
    random = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    assert measure(random).sharpness > 10 * measure(cv2.GaussianBlur(random, (9, 9), 2)).sharpness
    assert measure(np.full((300, 300, 3), 51, np.uint8)).sharpness == 0


def test_exposure_is_the_mean_luminance() -> None:
    assert abs(measure(np.full((300, 300, 3), 51, np.uint8)).exposure - 0.2) < 0.01


def test_border_counts_what_is_dark_and_connected_to_the_edge() -> None:
    skin = np.full((512, 512, 3), 180, np.uint8)
    framed, spotted = skin.copy(), skin.copy()
    framed[:, :128] = 5
    cv2.circle(spotted, (256, 256), 100, (20, 20, 20), -1)
    assert abs(measure(framed).border_fraction - 0.25) < 0.01
    assert measure(spotted).border_fraction == 0, "a dark lesion is no border"


def test_hair_counts_thin_dark_lines_and_no_lesion() -> None:
    skin = np.full((512, 512, 3), 180, np.uint8)
    haired, spotted = skin.copy(), skin.copy()
    for x in range(40, 500, 60):
        cv2.line(haired, (x, 0), (x - 30, 511), (40, 30, 30), 4)
    cv2.circle(spotted, (256, 256), 100, (90, 60, 60), -1)
    assert measure(skin).hair == 0
    assert measure(haired).hair > 0.03 > 10 * measure(spotted).hair
