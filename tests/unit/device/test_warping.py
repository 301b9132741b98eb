"""Warping and colors in torch, on any device, are those of OpenCV to one gray level."""

import numpy as np
import pytest
import torch

import tiny
from melanoma.augment import transforms as host
from melanoma.augment.tta import views
from melanoma.config.augmentation import TTA
from melanoma.device.warping import transform_colors, warp
from pictures import noisy, smooth

GEOMETRY = {
    "turns": {"affine": {"probability": 1.0, "rotate": 180, "shear": 10, "zoom": 0.3, "shift": 0.2}},
    "crops": {"crop": {"scale": [0.3, 1.0], "ratio": [0.7, 1.4]}},
    "flips": {"flip_horizontal": 0.5, "flip_vertical": 0.5},
}
COUNT = 6
torch.set_num_threads(1)


def pictures(kind: str, side: int) -> np.ndarray:
    return noisy(COUNT, side) if kind == "noise" else np.stack([smooth(side, side, seed) for seed in range(COUNT)])


def difference(images: np.ndarray, affine: np.ndarray, side: int) -> np.ndarray:
    """Return by how many gray levels the two ways differ."""
    theirs = host.warp(images, affine, side)
    ours = warp(torch.from_numpy(images), torch.from_numpy(affine), side)
    assert ours.dtype == torch.uint8 and ours.shape == theirs.shape
    return np.abs(ours.numpy().astype(int) - theirs)


@pytest.mark.parametrize("sides", [(96, 96), (96, 64), (96, 48), (130, 41), (256, 60)], ids=str)
@pytest.mark.parametrize("kind", ["noise", "skin"])
@pytest.mark.parametrize("name", GEOMETRY)
def test_an_image_is_warped_as_by_opencv_to_one_gray_level_also_at_its_mirrored_edges(name, kind, sides):
    """In noise, neighbors differ by 85 levels in the mean: a shift of a hundredth of a pixel would be seen. The ways
    differ where a value is near the middle of two levels, which scaling by two thirds makes frequent.
    """
    drawn = host.random_transforms(tiny.augmentation(**GEOMETRY[name]), 1, 0, np.arange(COUNT), *sides)
    levels = difference(pictures(kind, sides[0]), drawn.affine, sides[1])
    assert levels.max() <= 1 and levels.mean() < 0.06


@pytest.mark.parametrize("side", [48, 96])
def test_flips_and_reductions_by_a_whole_number_are_the_same_bits(side):
    drawn = host.random_transforms(tiny.augmentation(**GEOMETRY["flips"]), 1, 0, np.arange(COUNT), 96, side)
    assert difference(noisy(COUNT, 96), drawn.affine, side).max() == 0


def test_all_views_of_an_image_come_one_after_another():
    drawn = views(TTA(name="dihedral"), tiny.augmentation(), 1, np.arange(COUNT), 40, 40)
    assert difference(noisy(COUNT, 40), drawn.affine, 40).max() == 0


def test_colors_are_those_of_opencv_to_a_hundredth_of_a_gray_level():
    colors = {
        "brightness_contrast": {"probability": 1.0, "brightness": 0.2, "contrast": 0.2},
        "hue_saturation_value": {"probability": 1.0, "hue": 20, "saturation": 0.2, "value": 0.1},
    }
    color = host.random_transforms(tiny.augmentation(**colors), 1, 0, np.arange(COUNT), 8, 8).color
    pixels = noisy(COUNT, 8).reshape(COUNT, 64, 3).astype(np.float32)
    ours = transform_colors(torch.from_numpy(pixels), torch.from_numpy(color)).numpy()
    for image, transform in zip(pixels, color, strict=True):
        host.transform_colors(image[None], transform)
    assert np.abs(255 * host.IMAGENET_STD * (ours - pixels)).max() < 0.01
