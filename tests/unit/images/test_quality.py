"""Each measure of a stored image rises with the property in its name, and with no other."""

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.fft import dctn

from melanoma.images.quality import measure, perceptual_hash
from pictures import decode, encode, smooth


def dct_hash(gray: np.ndarray) -> int:
    """Compute the perceptual hash by its definition, with the transform of SciPy."""
    low = dctn(cv2.resize(gray, (32, 32), interpolation=cv2.INTER_AREA).astype(float), norm="ortho")[:8, :8].ravel()
    return sum(1 << (63 - place) for place in np.flatnonzero(low > np.median(low)).tolist())


def different_bits(one: int, other: int) -> int:
    return (one ^ other).bit_count()


def hashed(data: bytes) -> int:
    return measure(decode(data, 128, "center_crop")).phash


@given(seed=st.integers(0, 10_000))
def test_the_perceptual_hash_is_that_of_its_definition(seed: int) -> None:
    gray = cv2.cvtColor(smooth(256, 256, seed), cv2.COLOR_RGB2GRAY)
    assert different_bits(perceptual_hash(gray), dct_hash(gray)) <= 2, "what lies at the median may round either way"


def test_copies_of_an_image_have_near_hashes_and_others_far_ones() -> None:
    pixels = [smooth(1200, 900, seed) for seed in range(12)]
    hashes = [hashed(encode(image)) for image in pixels]
    for image, value in zip(pixels, hashes, strict=True):
        small = cv2.resize(image, (400, 300), interpolation=cv2.INTER_AREA)
        assert different_bits(hashed(encode(small, quality=60)), value) <= 6
    pairs = [(one, other) for k, one in enumerate(hashes) for other in hashes[:k]]
    assert min(different_bits(*pair) for pair in pairs) > 10


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
