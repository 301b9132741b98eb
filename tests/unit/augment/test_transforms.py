"""Augmentation: two composed matrices do the same as the single operations one after another."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from torchvision.transforms import RandomResizedCrop

import tiny
from melanoma.augment.transforms import IMAGENET_MEAN, IMAGENET_STD, plain_transforms, random_transforms, warp
from pictures import noisy

SIDE = 33
ALL = {
    "flip_horizontal": 0.5,
    "flip_vertical": 0.5,
    "crop": {"scale": [0.5, 1.0]},
    "affine": {
        "probability": 1.0,
        "rotate": 180,
        "shear": 5,
        "zoom": 0.3,
        "zoom_per_axis": True,
        "shift": 0.2,
    },
    "brightness_contrast": {"probability": 1.0, "brightness": 0.2, "contrast": 0.2},
    "hue_saturation_value": {"probability": 1.0, "hue": 20, "saturation": 0.2, "value": 0.1},
    "pca": {"probability": 1.0, "sigma": 0.1},
    "noise": {"probability": 1.0},
}


def transforms_of(input_size=SIDE, output_size=SIDE, count=200, epoch=0, seed=1, **only):
    return random_transforms(tiny.augmentation(**only), seed, epoch, np.arange(count), input_size, output_size)


def test_without_augmentation_an_image_is_only_normalized():
    transforms = transforms_of(count=3)
    plain = plain_transforms(3, SIDE, SIDE)
    np.testing.assert_allclose(transforms.affine, plain.affine, atol=1e-6)
    np.testing.assert_allclose(transforms.color, plain.color, atol=1e-6)
    assert not transforms.noise.any()
    np.testing.assert_array_equal(warp(noisy(3, SIDE), transforms.affine, SIDE), noisy(3, SIDE))


def test_the_color_map_normalizes_by_imagenet():
    gray = np.array([0.0, 128.0, 255.0])
    color = plain_transforms(1, SIDE, SIDE).color[0]
    np.testing.assert_allclose(
        color[:, :3] @ gray + color[:, 3], (gray / 255 - IMAGENET_MEAN) / IMAGENET_STD, atol=1e-5
    )


@pytest.mark.parametrize(("flip", "axis"), [("flip_horizontal", 2), ("flip_vertical", 1)])
def test_a_flip_mirrors_every_pixel(flip, axis):
    images = noisy(2, SIDE)
    np.testing.assert_array_equal(warp(images, transforms_of(count=2, **{flip: 1}).affine, SIDE), np.flip(images, axis))


def test_a_flip_happens_as_often_as_its_probability_says():
    flipped = transforms_of(count=4000, flip_horizontal=0.3).affine[:, 0, 0] < 0
    assert abs(flipped.mean() - 0.3) < 0.03


def test_a_rotation_equals_opencvs_and_stays_in_its_range():
    transforms = transforms_of(count=50, affine={"probability": 1.0, "rotate": 30})
    image = cv2.GaussianBlur(noisy(1, SIDE)[0], (5, 5), 2)
    for affine in transforms.affine[:5]:
        angle = np.degrees(np.arctan2(affine[1, 0], affine[0, 0]))
        ours = warp(image[None], affine[None], SIDE)[0]
        rotation = cv2.getRotationMatrix2D(((SIDE - 1) / 2, (SIDE - 1) / 2), angle, 1.0)
        theirs = cv2.warpAffine(image, rotation, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT_101)
        assert np.abs(ours.astype(int) - theirs).mean() < 1
    angles = np.degrees(np.arctan2(transforms.affine[:, 1, 0], transforms.affine[:, 0, 0]))
    assert np.abs(angles).max() <= 30 and np.abs(angles).max() > 25


def test_a_crop_stays_inside_the_image_and_covers_its_share():
    affine = transforms_of(count=500, crop={"scale": [0.25, 0.64]}, input_size=100, output_size=50).affine
    corners = np.stack([affine @ np.array([x, y, 1.0]) for x in (-0.5, 49.5) for y in (-0.5, 49.5)])
    assert corners.min() >= -0.5 - 1e-4 and corners.max() <= 99.5 + 1e-4
    area = affine[:, 0, 0] * affine[:, 1, 1] / 4
    assert area.min() >= 0.25 - 1e-5 and area.max() <= 0.64 + 1e-5
    assert abs(area.mean() - 0.445) < 0.02


def test_the_aspect_of_a_crop_is_distributed_as_torchvisions():
    """Both draw a crop again until it fits. torchvision gives up after ten tries, in 1 % of all crops."""
    torch.manual_seed(0)
    scale, ratio, image = [0.8, 1.0], [0.75, 1.3333], torch.zeros(1, 1000, 1000)
    theirs = np.array([RandomResizedCrop.get_params(image, scale, ratio)[2:] for _ in range(20_000)]) / 1000
    theirs = theirs[theirs.min(axis=1) < 1]
    affine = transforms_of(count=20_000, crop={"scale": scale, "ratio": ratio}).affine
    ours = np.stack([affine[:, 1, 1], affine[:, 0, 0]], axis=1)
    corners = np.stack([affine @ np.array([x, y, 1.0]) for x in (-0.5, SIDE - 0.5) for y in (-0.5, SIDE - 0.5)])
    assert corners.min() >= -0.5 - 1e-3 and corners.max() <= SIDE - 0.5 + 1e-3
    for measure in (lambda sides: sides[:, 0], lambda sides: sides[:, 1], lambda sides: sides.prod(axis=1)):
        assert ks_2samp(measure(ours), measure(theirs)).statistic < 0.02


def test_a_crop_of_the_whole_image_has_no_other_aspect():
    affine = transforms_of(count=50, crop={"scale": [1.0, 1.0], "ratio": [0.5, 2.0]}).affine
    np.testing.assert_allclose(affine, plain_transforms(50, SIDE, SIDE).affine, atol=1e-4)


def test_scaling_keeps_half_pixel_centers():
    image = np.zeros((1, 64, 64, 3), np.uint8)
    image[0, :32] = 255
    small = warp(image, plain_transforms(1, 64, 32).affine, 32)
    np.testing.assert_array_equal(small[0, :16], 255)
    np.testing.assert_array_equal(small[0, 16:], 0)


@pytest.mark.parametrize("factor", [2, 4])
def test_shrinking_averages_area_where_one_linear_resampling_would_alias(factor):
    image = noisy(1, 64)
    small = warp(image, plain_transforms(1, 64, 64 // factor).affine, 64 // factor)
    blocks = image.reshape(1, 64 // factor, factor, 64 // factor, factor, 3).mean(axis=(2, 4))
    assert np.abs(small - blocks).max() <= 1


def test_brightness_and_contrast_stay_in_their_range():
    color = transforms_of(brightness_contrast={"probability": 1.0, "brightness": 0.1, "contrast": 0.2}).color
    gain = color[:, 0, 0] * 255 * IMAGENET_STD[0]
    assert gain.min() >= 0.8 - 1e-5 and gain.max() <= 1.2 + 1e-5
    middle = (color[:, :, :3].sum(axis=2) * 127.5 + color[:, :, 3]) * IMAGENET_STD + IMAGENET_MEAN
    assert np.abs(middle - 0.5).max() <= 0.1 + 1e-5


def test_hue_and_saturation_leave_gray_gray():
    color = transforms_of(hue_saturation_value={"probability": 1.0, "hue": 30, "saturation": 0.3}).color
    gray = (color[:, :, :3].sum(axis=2) * 100 + color[:, :, 3]) * IMAGENET_STD + IMAGENET_MEAN
    np.testing.assert_allclose(gray, 100 / 255, atol=2e-3)


@given(seed=st.integers(0, 2**31), epoch=st.integers(0, 1000), start=st.integers(0, 100))
def test_an_images_augmentation_depends_on_seed_epoch_and_position_alone(seed, epoch, start):
    together = random_transforms(tiny.augmentation(**ALL), seed, epoch, np.arange(start + 4), SIDE, SIDE)
    alone = random_transforms(tiny.augmentation(**ALL), seed, epoch, np.array([start + 2]), SIDE, SIDE)
    np.testing.assert_array_equal(together.affine[start + 2], alone.affine[0])
    np.testing.assert_array_equal(together.color[start + 2], alone.color[0])
    assert together.noise_seeds[start + 2] == alone.noise_seeds[0]


def test_another_epoch_and_another_seed_augment_differently():
    first, other_epoch, other_seed = (transforms_of(**ALL, **k) for k in ({}, {"epoch": 1}, {"seed": 2}))
    assert not np.isclose(first.affine, other_epoch.affine).all(axis=(1, 2)).any()
    assert not np.isclose(first.affine, other_seed.affine).all(axis=(1, 2)).any()


def test_a_blank_image_has_no_noise_and_no_other_colors_and_the_others_keep_theirs():
    others = {
        "brightness_contrast": {"probability": 1.0, "brightness": 0.3, "contrast": 0.3},
        "noise": {"probability": 1.0, "variance": [5, 15]},
    }
    plain, half = transforms_of(**others), transforms_of(**others, blank={"probability": 0.5})
    blank = half.noise == 0
    assert 60 < blank.sum() < 140
    np.testing.assert_array_equal(half.color[blank], plain_transforms(int(blank.sum()), SIDE, SIDE).color)
    for field in ("color", "noise"):
        np.testing.assert_array_equal(getattr(half, field)[~blank], getattr(plain, field)[~blank])
