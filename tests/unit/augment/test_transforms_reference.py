"""Each operation of augmentation does what torchvision's does at the same parameters, up to sign where that is said.

The images are smooth, as skin is, and compared away from the edge, which torchvision fills and we mirror.
"""

import colorsys

import cv2
import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

import tiny
from melanoma.augment.pixelwise import apply_pixelwise
from melanoma.augment.transforms import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    YIQ_TO_RGB,
    draw,
    plain_transforms,
    random_transforms,
    transform_colors,
    warp,
)
from melanoma.augment.tta import views
from melanoma.config.augmentation import TTA
from pictures import smooth

SIDE, COUNT, SEED = 96, 8, 1
PICTURE = smooth(SIDE, SIDE, seed=3)
TENSOR = torch.from_numpy(PICTURE).permute(2, 0, 1)
INSIDE = slice(SIDE // 4, -SIDE // 4)
torch.set_num_threads(1)


def transforms_of(**only):
    return random_transforms(tiny.augmentation(**only), SEED, 0, np.arange(COUNT), SIDE, SIDE)


def spread(name):
    """Return what was drawn for each image, on [-1, 1): the share of the greatest amount."""
    return 2 * draw(SEED, 0, np.arange(COUNT))[name] - 1


def warped(**only):
    return warp(np.repeat(PICTURE[None], COUNT, axis=0), transforms_of(**only).affine, SIDE)


def colored(**only):
    """Return the picture in the drawn colors, on the scale of 0 to 255 and not cut off."""
    results = []
    for color in transforms_of(**only).color:
        pixels = PICTURE.astype(np.float32)
        transform_colors(pixels, color)
        results.append(255 * (pixels * IMAGENET_STD + IMAGENET_MEAN))
    return np.stack(results)


def moved(angle=0.0, shift=(0.0, 0.0), scale=1.0, shear=0.0):
    bilinear = InterpolationMode.BILINEAR
    return functional.affine(TENSOR, angle, list(shift), scale, [shear, 0.0], interpolation=bilinear)


def hues(colors):
    """Return the hues of RGB colors (n, 3) in degrees."""
    return np.array([360 * colorsys.rgb_to_hsv(*color)[0] for color in colors])


def assert_alike(ours, theirs, mean):
    """`ours` (height, width, 3), `theirs` a tensor (3, height, width): mean difference in gray levels."""
    difference = np.abs(ours.astype(float) - theirs.permute(1, 2, 0).numpy())
    assert difference[INSIDE, INSIDE].mean() < mean


def test_rotation_turns_against_the_clock_as_torchvisions_rotate():
    ours, angles = warped(affine={"probability": 1.0, "rotate": 60}), 60 * spread("rotate")
    for image, angle in zip(ours, angles, strict=True):
        assert_alike(image, functional.rotate(TENSOR, angle, InterpolationMode.BILINEAR), 0.1)
        assert_alike(image, moved(angle=-angle), 0.1)


def test_shear_is_torchvisions_of_the_opposite_sign():
    for image, angle in zip(warped(affine={"probability": 1.0, "shear": 20}), 20 * spread("shear"), strict=True):
        assert_alike(image, moved(shear=-angle), 0.1)


def test_zoom_is_torchvisions_scale():
    for image, zoom in zip(warped(affine={"probability": 1.0, "zoom": 0.4}), 0.4 * spread("zoom_x"), strict=True):
        assert_alike(image, moved(scale=1 + zoom), 0.1)


def test_shift_is_torchvisions_translation_in_shares_of_the_side():
    shifts = 0.2 * SIDE * np.stack([spread("shift_x"), spread("shift_y")], axis=1)
    for image, shift in zip(warped(affine={"probability": 1.0, "shift": 0.2}), shifts, strict=True):
        assert_alike(image, moved(shift=shift), 0.1)


def test_a_turn_with_zoom_and_shift_is_torchvisions_affine():
    only = {"probability": 1.0, "rotate": 40, "zoom": 0.2, "shift": 0.05}
    for number, image in enumerate(warped(affine=only)):
        shift = [0.05 * SIDE * spread(name)[number] for name in ("shift_x", "shift_y")]
        angle, scale = -40 * spread("rotate")[number], 1 + 0.2 * spread("zoom_x")[number]
        assert_alike(image, moved(angle, shift, scale), 0.1)


@pytest.mark.parametrize("name", ["horizontal", "vertical"])
def test_flips_are_torchvisions(name):
    theirs = getattr(functional, f"{name}_flip")(TENSOR)
    for image in warped(**{f"flip_{name}": 1.0}):
        np.testing.assert_array_equal(image, theirs.permute(1, 2, 0))


def test_crops_are_torchvisions_resized_crops():
    corners = [(24, 24), (0, 0), (0, 48), (48, 0), (48, 48)]
    transforms = views(TTA(name="crops", scale=0.5), tiny.augmentation(), 1, np.arange(1), SIDE, SIDE)
    for image, corner in zip(warp(PICTURE[None], transforms.affine, SIDE)[1:], corners, strict=True):
        bilinear = InterpolationMode.BILINEAR
        assert_alike(image, functional.resized_crop(TENSOR, *corner, 48, 48, [SIDE, SIDE], bilinear), 0.5)


def test_saturation_is_torchvisions():
    ours = colored(hue_saturation_value={"probability": 1.0, "saturation": 0.3})
    for image, change in zip(ours, 0.3 * spread("saturation"), strict=True):
        assert_alike(image, functional.adjust_saturation(TENSOR.float() / 255, 1 + change) * 255, 0.2)


def test_value_is_torchvisions_brightness():
    ours = colored(hue_saturation_value={"probability": 1.0, "value": 0.2})
    for image, change in zip(ours, 0.2 * spread("value"), strict=True):
        assert_alike(image, functional.adjust_brightness(TENSOR.float() / 255, 1 + change) * 255, 0.1)


def test_contrast_is_torchvisions_about_mid_gray_instead_of_the_pictures_own_mean():
    ours = colored(brightness_contrast={"probability": 1.0, "contrast": 0.2})
    own_mean = functional.rgb_to_grayscale(TENSOR.float()).mean().item()
    for image, change in zip(ours, 0.2 * spread("contrast"), strict=True):
        theirs = functional.adjust_contrast(TENSOR.float() / 255, 1 + change) * 255
        assert_alike(image, theirs + change * (own_mean - 127.5), 0.1)


def test_brightness_adds_a_share_of_white():
    ours = colored(brightness_contrast={"probability": 1.0, "brightness": 0.2})
    for image, change in zip(ours, 0.2 * spread("brightness"), strict=True):
        np.testing.assert_allclose(image, PICTURE + 255 * change, atol=0.1)


def test_hue_turns_against_torchvisions_by_the_same_angle_at_constant_luma():
    """Theirs moves along the edges of the HSV hexagon at constant value, ours on a circle at constant luma: single
    colors differ by some degrees, and in the mean over the circle they turn alike.
    """
    around = np.radians(np.arange(0, 360))
    circle = np.stack([np.full(360, 0.5), 0.1 * np.cos(around), 0.1 * np.sin(around)], axis=1) @ YIQ_TO_RGB.T
    for angle, color in zip(
        20 * spread("hue"), transforms_of(hue_saturation_value={"probability": 1.0, "hue": 20}).color, strict=True
    ):
        pixels = np.float32(255 * circle)[None]
        transform_colors(pixels, color)
        turned = hues(pixels[0] * IMAGENET_STD + IMAGENET_MEAN) - hues(circle)
        turned = (turned + 180) % 360 - 180
        theirs = functional.adjust_hue(torch.tensor(circle.T[:, None]), angle / 360)[:, 0].T.numpy()
        theirs = (hues(theirs) - hues(circle) + 180) % 360 - 180
        assert turned.mean() == pytest.approx(-angle, abs=0.1)
        assert theirs.mean() == pytest.approx(angle, abs=0.1)
        assert np.abs(turned + angle).max() < abs(angle)
        luma = (pixels[0] * IMAGENET_STD + IMAGENET_MEAN) @ [0.299, 0.587, 0.114]
        np.testing.assert_allclose(luma, 0.5, atol=1e-3)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 1.5, 3.0])
def test_blur_is_torchvisions(sigma):
    ours = PICTURE[None].copy()
    apply_pixelwise(ours, tiny.augmentation(blur={"probability": 1.0, "sigma": [sigma, sigma]}), SEED, 0, np.arange(1))
    kernel = round(6 * sigma + 1) | 1
    theirs = functional.gaussian_blur(TENSOR, [kernel, kernel], [sigma, sigma])
    assert np.abs(ours[0].astype(int) - theirs.permute(1, 2, 0).numpy()).max() <= 1


def test_one_resampling_keeps_more_detail_than_one_after_another():
    """The reason to compose: a turn and back in two resamplings blurs what one leaves as it is."""
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    there = cv2.getRotationMatrix2D(((SIDE - 1) / 2, (SIDE - 1) / 2), 20, 1.0)
    twice = cv2.warpAffine(cv2.warpAffine(image, there, (SIDE, SIDE)), cv2.invertAffineTransform(there), (SIDE, SIDE))
    once = warp(image[None], plain_transforms(1, SIDE, SIDE).affine, SIDE)[0]
    assert np.abs(once[INSIDE, INSIDE].astype(int) - image[INSIDE, INSIDE]).max() == 0
    assert twice[INSIDE, INSIDE].std() < 0.8 * image.std()
