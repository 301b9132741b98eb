"""Augmentation as two small matrices for each image: one affine transform of positions, and one of colors.

All geometric changes (crop, flips, rotation, shear, zoom, shift) compose into one transform of the uint8 image. So an
image is resampled once, and the cost is one cv2.warpAffine. All color changes and the normalization compose into one
3x4 matrix. The training device multiplies the images of a batch by it. What no matrix can express is in `pixelwise`.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from melanoma.common.rng import derived_seed, uniforms
from melanoma.config.augmentation import Affine, Augmentation, Crop, Noise

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406])
IMAGENET_STD = np.array([0.229, 0.224, 0.225])
# Eigenvalues and eigenvectors of ImageNet's RGB values in [0, 1], as used since Krizhevsky et al. (2012).
PCA_VALUES = np.array([0.2175, 0.0188, 0.0045])
PCA_VECTORS = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]],
)
RGB_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
YIQ_TO_RGB = np.linalg.inv(RGB_TO_YIQ)
CROP_AREAS = 4097  # areas between which the distribution of a crop's area is linear

# One stream of random numbers for each quantity. Append a new one at the end, so that the others do not change.
STREAMS = {
    name: number
    for number, name in enumerate(
        (
            "flip_horizontal", "flip_vertical", "crop_area", "crop_x", "crop_y",
            "affine", "rotate", "shear", "zoom_x", "zoom_y", "shift_x", "shift_y",
            "brightness_contrast", "brightness", "contrast",
            "hue_saturation_value", "hue", "saturation", "value",
            "pca", "pca_1", "pca_2", "pca_3", "noise", "noise_variance",
            "hair", "blur", "cutout", "crop_ratio", "blank",
        )
    )
}  # fmt: skip


@dataclass(frozen=True)
class Transforms:
    """The transforms of n images.

    `affine` (n, 2, 3) maps pixels of the output to stored pixels. `color` (n, 3, 4) maps gray levels 0 to 255 to the
    normalized input of the network. `noise` (n,) is the standard deviation in gray levels, and `noise_seeds` (n,) are
    the seeds of the noise.
    """

    affine: NDArray[np.float32]
    color: NDArray[np.float32]
    noise: NDArray[np.float32]
    noise_seeds: NDArray[np.int64]


def draw(seed: int, epoch: int, sample_indices: NDArray[np.integer]) -> dict[str, NDArray[np.float64]]:
    """Return by stream the random numbers in [0, 1), (n,), of the images `sample_indices` (n,) of an epoch."""
    numbers = uniforms(seed, epoch, sample_indices, len(STREAMS))
    return {name: numbers[:, stream] for name, stream in STREAMS.items()}


def random_transforms(
    settings: Augmentation,
    seed: int,
    epoch: int,
    sample_indices: NDArray[np.integer],
    input_size: int,
    output_size: int,
) -> Transforms:
    """Return the transforms of the images `sample_indices` of an epoch. They depend on the arguments alone.

    `input_size` and `output_size` are the sides in pixels of the stored image and of the network's input.
    """
    draws = draw(seed, epoch, sample_indices)
    blank = draws["blank"] < settings.blank.probability
    return Transforms(
        affine=_to_pixels(_geometry(settings, draws), input_size, output_size),
        # Too bright an image is white whatever came before, so a blank one has neither other colors nor noise.
        color=_normalized(np.where(blank[:, None, None], np.eye(4), _color(settings, draws))),
        noise=np.where(blank, np.float32(0), _noise(settings.noise, draws)),
        noise_seeds=np.array([derived_seed(seed, epoch, int(index)) for index in sample_indices], dtype=np.int64),
    )


def fixed_transforms(geometry: NDArray[np.float64], input_size: int, output_size: int) -> Transforms:
    """Return transforms of a given geometry that only normalize the colors.

    `geometry` (n, 3, 3) maps positions in the output to stored positions, in units of the side, from the center.
    """
    count = len(geometry)
    return Transforms(
        affine=_to_pixels(geometry, input_size, output_size),
        color=_normalized(np.tile(np.eye(4), (count, 1, 1))),
        noise=np.zeros(count, np.float32),
        noise_seeds=np.zeros(count, np.int64),
    )


def plain_transforms(count: int, input_size: int, output_size: int) -> Transforms:
    """Return transforms that only scale the whole image to `output_size` and normalize its colors."""
    return fixed_transforms(np.tile(np.eye(3), (count, 1, 1)), input_size, output_size)


def warp(images: NDArray[np.uint8], affine: NDArray[np.float32], output_size: int) -> NDArray[np.uint8]:
    """Resample `images` (n, S, S, 3) by `affine` (n * views, 2, 3), the views of each image one after another.

    Returns (n * views, output_size, output_size, 3); `images` themselves if nothing changes. The image is mirrored at
    its edge. An image at least twice as large as the output is first reduced by averaging areas, because linear
    resampling alone would alias.
    """
    if output_size == images.shape[1] and len(affine) == len(images) and (affine == np.eye(2, 3)).all():
        return images
    factor = max(images.shape[1] // output_size, 1)
    side = images.shape[1] // factor
    result = np.empty((len(affine), output_size, output_size, 3), np.uint8)
    affine = affine.astype(np.float64) / factor
    affine[:, :, 2] += (1 / factor - 1) / 2
    # OpenCV resamples four channels in half the time of three, to the same values.
    padded, warped = np.empty((side, side, 4), np.uint8), np.empty((output_size, output_size, 4), np.uint8)
    groups = affine.reshape(len(images), -1, 2, 3), result.reshape(len(images), -1, output_size, output_size, 3)
    for image, transforms, views in zip(images, *groups, strict=True):
        if factor > 1:
            image = cv2.resize(image[: side * factor, : side * factor], (side, side), interpolation=cv2.INTER_AREA)
        cv2.cvtColor(image, cv2.COLOR_RGB2RGBA, dst=padded)
        for transform, view in zip(transforms, views, strict=True):
            cv2.warpAffine(
                padded,
                transform,
                (output_size, output_size),
                dst=warped,
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REFLECT_101,
            )
            cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB, dst=view)
    return result


def transform_colors(pixels: NDArray[np.float32], color: NDArray[np.float32]) -> None:
    """Apply the color transform `color` (3, 4) to `pixels` (height, width, 3) in place, gray levels 0 to 255."""
    cv2.transform(pixels, color, dst=pixels)


def _geometry(settings: Augmentation, draws: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return transforms (n, 3, 3) from output to stored positions, in units of the side, from the center."""
    flip = _diagonal(
        np.where(draws["flip_horizontal"] < settings.flip_horizontal, -1.0, 1.0),
        np.where(draws["flip_vertical"] < settings.flip_vertical, -1.0, 1.0),
    )
    width, height = _crop_sides(settings.crop, draws["crop_area"], draws["crop_ratio"])
    crop = _diagonal(width, height)
    crop[:, 0, 2] = (1 - width) * (draws["crop_x"] - 0.5)
    crop[:, 1, 2] = (1 - height) * (draws["crop_y"] - 0.5)
    return np.linalg.inv(_affine(settings.affine, draws)) @ crop @ flip


def _crop_sides(
    settings: Crop, area_draws: NDArray[np.float64], ratio_draws: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the widths and heights (n,) of crops in units of the side.

    They have the distribution of a crop that is drawn again until it fits into the image.
    """
    low, high = settings.scale
    if settings.ratio == (1, 1):
        side = np.sqrt(low + (high - low) * area_draws)
        return side, side
    areas = np.linspace(low, high, CROP_AREAS)
    narrowest, widest = _fitting_ratios(settings, areas)
    # A crop of the whole area fits at one ratio alone, and that range must be more than nothing.
    chances = np.cumsum(np.maximum(widest - narrowest, 1e-9))
    area = np.interp(area_draws, (chances - chances[0]) / (chances[-1] - chances[0]), areas)
    narrowest, widest = _fitting_ratios(settings, area)
    ratio = np.exp(narrowest + (widest - narrowest) * ratio_draws)
    return np.sqrt(area * ratio), np.sqrt(area / ratio)


def _fitting_ratios(settings: Crop, areas: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the logarithms of the least and the greatest ratio that crops of these areas can have."""
    narrow, wide = np.log(settings.ratio)
    return np.maximum(narrow, np.log(areas)), np.minimum(wide, -np.log(areas))


def _affine(settings: Affine, draws: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return transforms (n, 3, 3) of the image: zoom, then shear, then rotation, then shift."""
    used = draws["affine"] < settings.probability

    def amount(name: str, scale: float) -> NDArray[np.float64]:
        return np.where(used, _spread(draws[name], settings.distribution) * scale, 0.0)

    zoom_x = 1 + amount("zoom_x", settings.zoom)
    zoom_y = 1 + amount("zoom_y", settings.zoom) if settings.zoom_per_axis else zoom_x
    # A normal draw can be below -1. Then the image would be mirrored or reduced to nothing.
    zoom = _diagonal(np.maximum(zoom_x, 0.1), np.maximum(zoom_y, 0.1))
    shear = _diagonal(np.ones(len(used)), np.ones(len(used)))
    shear[:, 0, 1] = np.tan(np.radians(amount("shear", settings.shear)))
    angle = np.radians(amount("rotate", settings.rotate))
    rotation = _diagonal(np.cos(angle), np.cos(angle))
    rotation[:, 0, 1], rotation[:, 1, 0] = np.sin(angle), -np.sin(angle)
    rotation[:, 0, 2] = amount("shift_x", settings.shift)
    rotation[:, 1, 2] = amount("shift_y", settings.shift)
    return rotation @ shear @ zoom


def _color(settings: Augmentation, draws: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return transforms (n, 4, 4) of RGB in [0, 1]: hue, saturation, value, then brightness and contrast, then PCA."""
    hsv, light, pca = settings.hue_saturation_value, settings.brightness_contrast, settings.pca
    count = len(draws["pca"])

    def amount(group: str, probability: float, name: str, scale: float) -> NDArray[np.float64]:
        return np.where(draws[group] < probability, _spread(draws[name], "uniform") * scale, 0.0)

    turn = np.radians(amount("hue_saturation_value", hsv.probability, "hue", hsv.hue))
    chroma = 1 + amount("hue_saturation_value", hsv.probability, "saturation", hsv.saturation)
    value = 1 + amount("hue_saturation_value", hsv.probability, "value", hsv.value)
    yiq = np.zeros((count, 3, 3))
    yiq[:, 0, 0] = 1
    yiq[:, 1, 1] = yiq[:, 2, 2] = np.cos(turn) * chroma
    yiq[:, 1, 2], yiq[:, 2, 1] = -np.sin(turn) * chroma, np.sin(turn) * chroma

    brightness = amount("brightness_contrast", light.probability, "brightness", light.brightness)
    contrast = 1 + amount("brightness_contrast", light.probability, "contrast", light.contrast)
    weights = ndtri(np.stack([draws["pca_1"], draws["pca_2"], draws["pca_3"]], axis=1).clip(1e-12, 1 - 1e-12))
    weights = np.where(draws["pca"][:, None] < pca.probability, weights * pca.sigma, 0.0)

    result = np.tile(np.eye(4), (count, 1, 1))
    result[:, :3, :3] = (YIQ_TO_RGB @ yiq @ RGB_TO_YIQ) * (value * contrast)[:, None, None]
    result[:, :3, 3] = (0.5 * (1 - contrast) + brightness)[:, None] + (weights * PCA_VALUES) @ PCA_VECTORS.T
    return result


def _noise(settings: Noise, draws: dict[str, NDArray[np.float64]]) -> NDArray[np.float32]:
    low, high = settings.variance
    deviation = np.sqrt(low + (high - low) * draws["noise_variance"])
    return np.where(draws["noise"] < settings.probability, deviation, 0.0).astype(np.float32)


def _spread(draws: NDArray[np.float64], distribution: str) -> NDArray[np.float64]:
    """Map uniform draws in [0, 1) to uniform draws in [-1, 1), or to standard normal ones."""
    return 2 * draws - 1 if distribution == "uniform" else ndtri(draws.clip(1e-12, 1 - 1e-12))


def _diagonal(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    result = np.zeros((len(x), 3, 3))
    result[:, 0, 0], result[:, 1, 1], result[:, 2, 2] = x, y, 1.0
    return result


def _to_pixels(transforms: NDArray[np.float64], input_size: int, output_size: int) -> NDArray[np.float32]:
    """Return transforms of pixel indices for transforms in units of the side; the center of pixel 0 is at 0.5."""
    into = np.array([[input_size, 0, (input_size - 1) / 2], [0, input_size, (input_size - 1) / 2], [0, 0, 1]])
    side = output_size
    out_of = np.array([[1 / side, 0, -(side - 1) / (2 * side)], [0, 1 / side, -(side - 1) / (2 * side)], [0, 0, 1]])
    affine: NDArray[np.float64] = into @ transforms @ out_of
    return affine[:, :2].astype(np.float32)


def _normalized(transforms: NDArray[np.float64]) -> NDArray[np.float32]:
    """Scale gray levels to [0, 1] before the transforms and normalize by ImageNet after them; return (n, 3, 4)."""
    result: NDArray[np.float64] = transforms[:, :3] / IMAGENET_STD[:, None]
    result[:, :, 3] -= IMAGENET_MEAN / IMAGENET_STD
    result[:, :, :3] /= 255
    return result.astype(np.float32)
