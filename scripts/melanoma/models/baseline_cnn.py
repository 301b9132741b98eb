"""The baseline network of the two-network ensemble."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from melanoma.common.errors import InputError
from melanoma.config import networks
from melanoma.models.layers import hidden_layer


def _mean(feature_map: Tensor) -> Tensor:
    return functional.adaptive_avg_pool2d(feature_map, 1).flatten(1)


# Features (n, width) of the maps (n, channels, side, side) that the poolings leave, the first one first.
POOLS: dict[str, Callable[[list[Tensor]], Tensor]] = {
    "flatten": lambda maps: maps[-1].flatten(1),
    "average": lambda maps: _mean(maps[-1]),
    "levels": lambda maps: torch.cat([_mean(feature_map) for feature_map in maps], dim=1),
}


class BaselineCNN(nn.Module):
    """Convolutions with ReLU and max pooling, batch norm from the second on, then hidden layers with batch norm.

    Takes images (n, 3, size, size), gives features (n, width). The schema's defaults are the baseline network of the
    two-network ensemble: sides 512, 253, 124, 59, 26, 11, 3, then 900 features to 512 to 512.
    """

    def __init__(self, size: int, settings: dict[str, Any]) -> None:
        super().__init__()
        channels = [3, *settings["channels"]]
        layers: list[nn.Module] = []
        sides = networks.BaselineCNN.model_validate(settings).feature_sides(size)
        if 0 in sides:
            raise InputError(
                f"baseline_cnn: nothing is left of the image after convolution {sides.index(0) + 1} of {len(sides)};"
                " take a larger input_size, fewer convolutions (shorter channels and kernels), or padding: same"
            )
        for number, ((inputs, outputs), kernel) in enumerate(zip(pairwise(channels), settings["kernels"], strict=True)):
            stride = settings["stride"] if number == 0 else 1
            # "same" is for steps of one pixel.
            padding = (kernel - 1) // 2 if settings["padding"] == "same" and stride > 1 else settings["padding"]
            layers.append(nn.Conv2d(inputs, outputs, kernel, stride, padding))
            if number > 0:
                layers.append(nn.BatchNorm2d(outputs))
            layers += [nn.ReLU(), nn.MaxPool2d(2)]
        self.convolutions = nn.Sequential(*layers)
        self.pool = POOLS[settings["pooling"]]
        widths_of = {"flatten": channels[-1] * sides[-1] ** 2, "average": channels[-1], "levels": sum(channels[1:])}
        inputs = widths_of[settings["pooling"]]
        # Early means are colors and late ones shapes: of different sizes until they are normalized.
        self.norm = nn.BatchNorm1d(inputs) if settings["pooling"] == "levels" else nn.Identity()
        widths = [inputs, *settings["hidden"]]
        self.hidden = nn.Sequential(*(hidden_layer(*pair) for pair in pairwise(widths)))
        self.width = widths[-1]

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of `images`."""
        maps = []
        for layer in self.convolutions:
            images = layer(images)
            if isinstance(layer, nn.MaxPool2d):
                maps.append(images)
        return self.hidden(self.norm(self.pool(maps)))
