"""The geometry and the colors of a batch as torch computes them: one affine and one color transform for each image.

The functions agree with those of `augment.transforms`, which OpenCV computes image by image, to one gray level.
"""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample


def warp(images: Tensor, affine: Tensor, output_size: int) -> Tensor:
    """Resample `images`, uint8 (n, S, S, 3), by `affine`, float32 (n * views, 2, 3), views one after another.

    Returns uint8 (n * views, output_size, output_size, 3) on the same device. The meaning is that of
    `augment.transforms.warp`: linear resampling, mirrored edges, and first a reduction by the mean of areas.
    """
    factor = max(images.shape[1] // output_size, 1)
    side = images.shape[1] // factor
    pixels = images.permute(0, 3, 1, 2).float()
    if factor > 1:
        pixels = _reduced(pixels[:, :, : side * factor, : side * factor], factor)
    # grid_sample counts positions from -1 to 1, the centers of the first and the last pixel.
    unit = 2 / (factor * (side - 1))
    along_x, along_y = affine[:, None, None, :, 0] * unit, affine[:, None, None, :, 1] * unit
    start = (affine[:, None, None, :, 2] + (1 - factor) / 2) * unit - 1
    line = torch.arange(output_size, dtype=torch.float32, device=images.device)
    positions = along_x * line[None, None, :, None] + along_y * line[None, :, None, None] + start
    # The views of an image stand below one another in one grid, so the image itself is not copied.
    grid = positions.view(len(images), -1, output_size, 2)
    warped = grid_sample(pixels, grid, "bilinear", "reflection", align_corners=True)
    return warped.permute(0, 2, 3, 1).reshape(-1, output_size, output_size, 3).round().to(torch.uint8)


def transform_colors(images: Tensor, color: Tensor) -> Tensor:
    """Apply color transforms (n, 3, 4) to `images` (n, pixels, 3), both float32; return the same shape."""
    return torch.baddbmm(color[:, None, :, 3], images, color[:, :, :3].mT)


def _reduced(pixels: Tensor, factor: int) -> Tensor:
    """Return the means of squares of `factor` pixels, rounded as OpenCV does: half a level upwards, or to even."""
    means = avg_pool2d(pixels, factor)
    return (means + 0.5).floor() if factor == 2 else means.round()
