"""Hair, blur, cutout, blank: they depend on (seed, epoch, sample index) alone and are as frequent as configured."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tiny
from melanoma.augment.pixelwise import MEAN_COLOR, PIXELWISE, apply_pixelwise, augment
from melanoma.augment.transforms import random_transforms, warp
from pictures import noisy

SIDE = 48
ALL = {
    "hair": {"probability": 0.5, "max_hairs": 4},
    "blur": {"probability": 0.5},
    "cutout": {"probability": 0.5, "count": 2, "size": 0.25},
    "blank": {"probability": 0.2},
}


def pixelwise(images, seed=1, epoch=0, sample_indices=None, **only):
    result = images.copy()
    indices = np.arange(len(images)) if sample_indices is None else sample_indices
    apply_pixelwise(result, tiny.augmentation(**only), seed, epoch, indices)
    return result


def changed(before, after):
    return (before != after).reshape(len(before), -1).any(axis=1)


@given(seed=st.integers(0, 2**31), epoch=st.integers(0, 1000), first_index=st.integers(0, 10**6))
def test_the_changes_of_an_image_depend_on_seed_epoch_and_sample_index_alone(seed, epoch, first_index):
    images, sample_indices = noisy(4, SIDE), first_index + np.arange(4)
    together = pixelwise(images, seed, epoch, sample_indices, **ALL)
    alone = pixelwise(images[[2]], seed, epoch, sample_indices[[2]], **ALL)
    np.testing.assert_array_equal(together[[2]], alone)


@pytest.mark.parametrize("name", PIXELWISE)
def test_a_pixelwise_augmentation_happens_as_often_as_its_probability_says(name):
    images = noisy(2000, 16)
    share = changed(images, pixelwise(images, **{name: {"probability": 0.3}})).mean()
    assert abs(share - 0.3) < 0.04


@pytest.mark.parametrize("name", PIXELWISE)
def test_another_epoch_and_another_seed_change_other_images(name):
    images, only = noisy(200, 16), {name: {"probability": 0.5}}
    first = changed(images, pixelwise(images, **only))
    assert (first != changed(images, pixelwise(images, epoch=1, **only))).any()
    assert (first != changed(images, pixelwise(images, seed=2, **only))).any()


def test_without_pixelwise_augmentation_the_loader_gives_the_warped_image():
    images, plain = noisy(5, SIDE), tiny.augmentation(flip_horizontal=0.5, affine={"probability": 1.0, "rotate": 90})
    sample_indices = np.arange(5)
    result, transforms = augment(images, plain, 1, 0, sample_indices, 32)
    np.testing.assert_array_equal(result, warp(images, transforms.affine, 32))
    np.testing.assert_array_equal(transforms.affine, random_transforms(plain, 1, 0, sample_indices, SIDE, 32).affine)


def test_one_pixelwise_augmentation_does_not_change_the_draws_of_the_others():
    """Turning an augmentation on must not turn or recolor an image differently, nor move the hairs of another."""
    images = noisy(50, SIDE)
    with_hair, with_both = (
        pixelwise(images, hair=ALL["hair"], **more) for more in ({}, {"cutout": ALL["cutout"] | {"probability": 1.0}})
    )
    outside = (with_both != MEAN_COLOR).any(axis=3)
    np.testing.assert_array_equal(with_both[outside], with_hair[outside])


def test_a_hair_is_dark_and_thin():
    white = np.full((30, 128, 128, 3), 255, np.uint8)
    result = pixelwise(white, hair={"probability": 1.0, "max_hairs": 1})
    drawn = (result < 250).any(axis=3)
    assert changed(white, result).mean() > 0.9
    assert result.min(axis=(1, 2, 3))[drawn.any(axis=(1, 2))].max() < 128
    assert drawn.sum(axis=(1, 2)).max() < 4 * 128 * 1.5


def test_a_larger_max_hairs_draws_more_hairs():
    white = np.full((40, 128, 128, 3), 255, np.uint8)
    covered = [(pixelwise(white, hair={"probability": 1.0, "max_hairs": most}) < 250).mean() for most in (1, 5, 20)]
    assert covered[0] < covered[1] < covered[2]


def test_hairs_keep_their_width_as_a_share_of_the_image():
    shares = []
    for side in (512, 1024):
        white = np.full((20, side, side, 3), 255, np.uint8)
        shares.append((pixelwise(white, hair={"probability": 1.0}) < 128).mean())
    assert shares[1] == pytest.approx(shares[0], rel=0.25)


def test_blur_removes_noise_and_keeps_the_mean():
    images = noisy(20, SIDE)
    weak, strong = (pixelwise(images, blur={"probability": 1.0, "sigma": [s, s]}) for s in (0.5, 1.5))
    assert images.std() > 1.5 * weak.std() > 3 * strong.std()
    assert abs(strong.mean() - images.mean()) < 1


def test_cutout_fills_squares_of_the_given_size_with_the_mean_color():
    images = np.zeros((300, SIDE, SIDE, 3), np.uint8)
    result = pixelwise(images, cutout={"probability": 1.0, "count": 1, "size": 0.25})
    filled = (result == MEAN_COLOR).all(axis=3)
    np.testing.assert_array_equal(result[~filled], 0)
    area = filled.sum(axis=(1, 2))
    whole = (filled[:, 0] | filled[:, -1] | filled[:, :, 0] | filled[:, :, -1]).sum(axis=1) == 0
    assert (area[whole] == 12 * 12).all() and whole.any()
    assert (area > 0).all() and (area <= 12 * 12).all()


def test_a_blank_image_holds_nothing_of_the_image():
    assert (pixelwise(noisy(3, SIDE), blank={"probability": 1.0}) == 255).all()


def test_pixelwise_augmentations_come_after_the_warp_in_pixels_of_the_networks_input():
    """A square is upright and of the same size whatever the image's turn and zoom."""
    turned = tiny.augmentation(affine={"probability": 1.0, "rotate": 180}, cutout={"probability": 1.0, "size": 0.5})
    result, _ = augment(np.zeros((40, 64, 64, 3), np.uint8), turned, 1, 0, np.arange(40), 32)
    for image in result:
        rows, columns = np.nonzero((image == MEAN_COLOR).all(axis=2))
        assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
