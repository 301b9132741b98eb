"""The sizes of the baseline network's feature maps, for the network and its checks."""

from typing import Any


def feature_sides(layers: dict[str, Any], size: int) -> list[int]:
    """Return the side of each of the baseline network's feature maps, in pixels, after pooling.

    `layers` is a recipe's baseline_cnn, `size` the side of its images. Where nothing is left of the image, sides are 0.
    """
    sides = []
    for number, kernel in enumerate(layers["kernels"]):
        stride = layers["stride"] if number == 0 else 1
        if layers["padding"] == "valid":
            size = (size - kernel) // stride + 1
        elif stride > 1:
            size = (size + 2 * ((kernel - 1) // 2) - kernel) // stride + 1
        size = max(size // 2, 0)
        sides.append(size)
    return sides
