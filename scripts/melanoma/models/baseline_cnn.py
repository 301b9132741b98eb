"""The baseline network of the two-network ensemble."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from melanoma.common.errors import InputError
from melanoma.config import networks as options
from melanoma.models.layers import FeatureNetwork, hidden_layer


def _mean(feature_map: Tensor) -> Tensor:
    return functional.adaptive_avg_pool2d(feature_map, 1).flatten(1)


# From the pooled feature maps (n, channels, side, side), in their order, to features (n, width).
POOLS: dict[str, Callable[[list[Tensor]], Tensor]] = {
    "flatten": lambda maps: maps[-1].flatten(1),
    "average": lambda maps: _mean(maps[-1]),
    "levels": lambda maps: torch.cat([_mean(feature_map) for feature_map in maps], dim=1),
}


class BaselineCNN(FeatureNetwork):
    """Convolutions with ReLU and max pooling, with batch norm from the second on, then hidden layers with batch norm.

    It takes images (n, 3, size, size) and gives features (n, width). By default it is the baseline network of the
    two-network ensemble: sides 512, 253, 123, 58, 27, 11, 3, then 900 features to 512 to 512. Raises InputError if the
    image is too small for the convolutions.
    """

    def __init__(self, size: int, settings: options.BaselineCNN) -> None:
        super().__init__()
        channels = [3, *settings.channels]
        sides = settings.feature_sides(size)
        if 0 in sides:
            raise InputError(
                f"baseline_cnn: of an image of {size} pixels nothing is left after convolution {sides.index(0) + 1} of"
                f" {len(sides)}; take a larger input_size, fewer convolutions (shorter channels and kernels), or"
                " padding: same"
            )
        layers: list[nn.Module] = []
        for number, ((inputs, outputs), kernel) in enumerate(zip(pairwise(channels), settings.kernels, strict=True)):
            stride = settings.stride if number == 0 else 1
            # torch has no padding "same" for strides above 1.
            padding = (kernel - 1) // 2 if settings.padding == "same" and stride > 1 else settings.padding
            layers.append(nn.Conv2d(inputs, outputs, kernel, stride, padding))
            if number > 0:
                layers.append(nn.BatchNorm2d(outputs))
            layers += [nn.ReLU(), nn.MaxPool2d(2)]
        self.convolutions = nn.Sequential(*layers)
        self.pool = POOLS[settings.pooling]
        pooled_widths = {"flatten": channels[-1] * sides[-1] ** 2, "average": channels[-1], "levels": sum(channels[1:])}
        widths = [pooled_widths[settings.pooling], *settings.hidden]
        # The means of early maps are colors and those of late maps are shapes, so their scales differ.
        self.norm = nn.BatchNorm1d(widths[0]) if settings.pooling == "levels" else nn.Identity()
        self.hidden = nn.Sequential(*(hidden_layer(*pair) for pair in pairwise(widths)))
        self.width = widths[-1]

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of `images`."""
        maps = []
        for layer in self.convolutions:
            images = layer(images)
            if isinstance(layer, nn.MaxPool2d):
                maps.append(images)
        features: Tensor = self.hidden(self.norm(self.pool(maps)))
        return features
