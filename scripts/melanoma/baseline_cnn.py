"""The baseline network of the two-network ensemble."""

from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from melanoma.errors import InputError
from melanoma.layers import depths_by_weights, hidden_layer


class BaselineCNN(nn.Module):
    """Convolutions with ReLU and max pooling, batch norm from the second on, then hidden layers with batch norm.

    Takes images (n, 3, size, size), gives features (n, width). The schema's defaults are the baseline network of the
    two-network ensemble: sides 512, 253, 124, 59, 26, 11, 3, then 900 features to 512 to 512.
    """

    def __init__(self, size: int, settings: dict[str, Any]) -> None:
        super().__init__()
        channels = [3, *settings["channels"]]
        layers: list[nn.Module] = []
        for number, ((inputs, outputs), kernel) in enumerate(zip(pairwise(channels), settings["kernels"], strict=True)):
            layers.append(nn.Conv2d(inputs, outputs, kernel, padding=settings["padding"]))
            size = (size if settings["padding"] == "same" else size - kernel + 1) // 2
            if size < 1:
                raise InputError(
                    f"baseline_cnn: nothing is left of the image after convolution {number + 1} of"
                    f" {len(settings['kernels'])}; take a larger input_size, fewer convolutions (shorter channels and"
                    " kernels), or padding: same"
                )
            if number > 0:
                layers.append(nn.BatchNorm2d(outputs))
            layers += [nn.ReLU(), nn.MaxPool2d(2)]
        self.convolutions = nn.Sequential(*layers)
        average = settings["pooling"] == "average"
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()) if average else nn.Flatten()
        widths = [channels[-1] * (1 if average else size * size), *settings["hidden"]]
        self.hidden = nn.Sequential(*(hidden_layer(*pair) for pair in pairwise(widths)))
        self.width = widths[-1]

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of `images`."""
        return self.hidden(self.pool(self.convolutions(images)))

    def depths(self) -> dict[str, int]:
        """Return the layer of each parameter: each convolution and each hidden layer is one."""
        return depths_by_weights(self)
