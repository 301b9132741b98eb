"""Views for prediction: flips and turns are exact, views depend on the image's index, each image is read once."""

from fractions import Fraction
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tiny
from melanoma.augment.transforms import plain_transforms, warp
from melanoma.augment.tta import average, frame, view_count, views
from melanoma.config.augmentation import TTA
from pictures import noisy

SIDES = [2, 7, 16, 33, 49, 98, 224]
AUGMENTATION = {
    "flip_horizontal": 0.5,
    "affine": {"probability": 1.0, "rotate": 180, "zoom": 0.2},
    "brightness_contrast": {"probability": 1.0, "brightness": 0.1},
    "noise": {"probability": 0.5},
}


def transforms_of(indices, input_size, output_size, seed=1, **settings):
    augmentation = tiny.augmentation(**AUGMENTATION)
    return views(TTA(**settings), augmentation, seed, np.array(indices), input_size, output_size)


def views_of(images, output_size=None, **settings):
    """Return the views as pixels, (images, views, output_size, output_size, 3)."""
    output_size = output_size or images.shape[1]
    transforms = transforms_of(range(len(images)), images.shape[1], output_size, **settings)
    return warp(images, transforms.affine, output_size).reshape(len(images), -1, output_size, output_size, 3)


@pytest.mark.parametrize("name", ["none", "random", "flips", "dihedral", "crops"])
def test_view_count_is_the_number_of_views_of_each_image(name):
    transforms = transforms_of([5, 2, 9], 32, 24, name=name)
    count = view_count(TTA(name=name))
    assert count == {"none": 1, "random": 15, "flips": 4, "dihedral": 8, "crops": 6}[name]
    alone = transforms_of([2], 32, 24, name=name)
    for field in ("affine", "color", "noise", "noise_seeds"):
        assert len(getattr(transforms, field)) == 3 * count
        np.testing.assert_array_equal(getattr(transforms, field)[count : 2 * count], getattr(alone, field))


def test_without_tta_the_only_view_is_the_plain_image():
    transforms, plain = transforms_of(range(3), 64, 48), plain_transforms(3, 64, 48)
    for field in ("affine", "color", "noise", "noise_seeds"):
        np.testing.assert_array_equal(getattr(transforms, field), getattr(plain, field))


@pytest.mark.parametrize("side", SIDES)
def test_flips_and_quarter_turns_are_exact_permutations_of_the_pixels(side):
    image = noisy(1, side)
    flips = [image[0], image[0][:, ::-1], image[0][::-1], image[0][::-1, ::-1]]
    np.testing.assert_array_equal(views_of(image, name="flips")[0], flips)
    turned = {np.rot90(picture, turns).tobytes() for turns in range(4) for picture in flips[:2]}
    dihedral = views_of(image, name="dihedral")[0]
    np.testing.assert_array_equal(dihedral[:4], flips)
    assert len(turned) == 8 and {view.tobytes() for view in dihedral} == turned


def test_the_views_of_a_flipped_image_are_the_same_views_in_another_order():
    """So the mean over dihedral views does not depend on how the camera was held."""
    image = noisy(1, 40)
    views_there, views_here = (
        views_of(i, name="dihedral", output_size=20)[0] for i in (image, np.rot90(image, axes=(1, 2)))
    )
    assert {v.tobytes() for v in views_there} == {v.tobytes() for v in views_here}


def test_crops_are_the_whole_the_center_and_the_four_corners():
    image = noisy(1, 40)
    whole, *crops = views_of(image, output_size=32, name="crops", scale=0.8)[0]
    np.testing.assert_array_equal(whole, warp(image, plain_transforms(1, 40, 32).affine, 32)[0])
    for crop, (top, left) in zip(crops, [(4, 4), (0, 0), (0, 8), (8, 0), (8, 8)], strict=True):
        np.testing.assert_array_equal(crop, image[0, top : top + 32, left : left + 32])


@pytest.mark.parametrize(("name", "shown"), [("full_size", slice(0, 41)), ("center_crop", slice(10, 30))])
def test_a_frame_that_is_not_scaled_shows_stored_pixels_as_they_are(name, shown):
    """Also where the stored image is twice as large as the network's input, and would be reduced."""
    image = noisy(1, 41)
    inside, side = frame(TTA(name="flips", frame=name), 41, 20)
    assert inside == shown and side == shown.stop - shown.start
    pixels = np.ascontiguousarray(image[:, inside, inside])
    np.testing.assert_array_equal(views_of(pixels, side, name="flips")[0][0], image[0, shown, shown])


def test_random_views_differ_by_image_view_and_seed_and_a_larger_n_adds_views():
    few, many = (transforms_of(range(4), 32, 32, name="random", n=n) for n in (3, 9))
    other = transforms_of(range(4), 32, 32, seed=2, name="random", n=9)
    np.testing.assert_array_equal(few.affine.reshape(4, 3, 2, 3), many.affine.reshape(4, 9, 2, 3)[:, :3])
    assert len(np.unique(np.concatenate([many.affine, other.affine]), axis=0)) == 72
    assert len(np.unique(many.noise_seeds)) == 36 and (many.noise > 0).any()


def test_an_image_is_resampled_from_the_same_pixels_in_each_of_its_views():
    """One reading and one shrinking serve all views, and give what each view would give alone."""
    images = noisy(2, 70)
    transforms = transforms_of(range(2), 70, 24, name="random", n=4)
    together, apart = warp(images, transforms.affine, 24), warp(np.repeat(images, 4, axis=0), transforms.affine, 24)
    np.testing.assert_array_equal(together, apart)


def test_the_mean_of_logits_is_their_mean():
    np.testing.assert_array_equal(average(np.array([[1.0, 3.0], [-2.0, 2.0]]), "logit"), [2.0, 0.0])


@given(st.lists(st.floats(-30, 30), min_size=1, max_size=15))
def test_the_mean_of_probabilities_is_that_of_exact_fractions(logits):
    probabilities = [Fraction(1 / (1 + np.exp(-x))) if x < 0 else 1 - Fraction(1 / (1 + np.exp(x))) for x in logits]
    mean = sum(probabilities) / len(probabilities)
    expected = log(mean) - log(1 - mean)
    assert average(np.array([logits]), "probability")[0] == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("logit", [-800.0, -40.0, 40.0, 800.0])
def test_the_mean_of_probabilities_never_reaches_0_or_1(logit):
    np.testing.assert_allclose(average(np.full((2, 15), logit), "probability"), logit)
    assert average(np.array([[logit, -logit]]), "probability")[0] == pytest.approx(0, abs=1e-9)


def test_a_mean_of_probabilities_lies_between_the_views_and_keeps_their_order():
    logits = np.random.default_rng(0).normal(0, 3, (100, 15))
    mean = average(logits, "probability")
    assert (mean > logits.min(axis=1)).all() and (mean < logits.max(axis=1)).all()
    np.testing.assert_allclose(average(-logits, "probability"), -mean)


def test_random_views_are_those_of_a_recipe_without_blank_images():
    found = [
        views(TTA(name="random"), tiny.augmentation(**AUGMENTATION, **blank), 1, np.arange(3), 32, 24)
        for blank in ({}, {"blank": {"probability": 1.0}})
    ]
    np.testing.assert_array_equal(found[0].color, found[1].color)
    np.testing.assert_array_equal(found[0].noise, found[1].noise)
