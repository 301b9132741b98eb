"""Corruptions of images: nothing at severity 0, stronger at each severity, and always the same for an image."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import tiny
from melanoma.augment.corruptions import CORRUPTIONS, SEVERITIES, CorruptedImages, corrupt
from melanoma.config.study import Evaluate
from melanoma.images.store import ImageStore
from pictures import noisy, smooth

RANDOM = ("brightness", "color_cast", "hair")
NOISE = noisy(1, 128)[0]
NAMES = st.text(min_size=1, max_size=20)


def distances(image: np.ndarray, corruption: str, name: str) -> list[float]:
    """Return the mean difference in gray levels at each severity from 0 on."""
    changed = [corrupt(image, corruption, severity, name) for severity in range(SEVERITIES + 1)]
    assert all(each.shape == image.shape and each.dtype == np.uint8 for each in changed)
    return [float(np.abs(each.astype(float) - image).mean()) for each in changed]


@pytest.mark.parametrize("corruption", CORRUPTIONS)
@given(name=NAMES)
def test_severity_0_is_the_image_to_the_bit(corruption, name):
    image = noisy(1, 16)[0]
    np.testing.assert_array_equal(corrupt(image, corruption, 0, name), image)


@pytest.mark.parametrize("corruption", CORRUPTIONS)
@pytest.mark.parametrize("image", [smooth(128, 128) // 4 * 3 + NOISE // 4, NOISE], ids=["texture", "noise"])
def test_each_severity_is_farther_from_the_image_than_the_one_before(corruption, image):
    before = image.copy()
    for name in ("ISIC_1", "ISIC_2", "ISIC_3"):
        assert (np.diff(distances(image, corruption, name)) > 0).all()
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_a_name_gives_the_same_corruption_and_others_give_others_where_it_is_random(corruption):
    image = smooth(64, 64)
    first = [corrupt(image, corruption, 4, f"ISIC_{number}") for number in range(8)]
    again = [corrupt(image, corruption, 4, f"ISIC_{number}") for number in range(8)]
    np.testing.assert_array_equal(first, again)
    assert (len({each.tobytes() for each in first}) > 1) == (corruption in RANDOM)


def test_a_color_cast_changes_the_color_and_brightness_does_not():
    gray = np.full((8, 8, 3), 100, np.uint8)
    cast, brighter = (corrupt(gray, name, 5, "ISIC_1")[0, 0] for name in ("color_cast", "brightness"))
    assert np.ptp(cast) > 20 and np.prod(cast / 100) == pytest.approx(1, abs=0.03)
    assert np.ptp(brighter) == 0 and abs(int(brighter[0]) - 100) in (100, 102)


def test_corrupted_images_of_a_store_do_not_depend_on_their_batch(tmp_path):
    store = ImageStore(tiny.write_store(tmp_path / "images.h5", tiny.table(6)))
    reader = CorruptedImages(store, "hair", 3)
    together = reader.read([4, 0, 4])
    for image, row in zip(together, (4, 0, 4), strict=True):
        np.testing.assert_array_equal(image, corrupt(store.read([row])[0], "hair", 3, store.names[row]))
        np.testing.assert_array_equal(image, reader.read(np.array([row]))[0])
    assert reader.size == store.size


def test_a_study_can_have_each_severity_and_no_other():
    severities = list(range(1, SEVERITIES + 1))
    assert Evaluate(robustness=severities).robustness == tuple(severities)
    for wrong in (0, SEVERITIES + 1):
        with pytest.raises(ValidationError):
            Evaluate(robustness=[wrong])
