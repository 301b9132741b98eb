"""Networks by name. To add one: a module with a `width`, and its name in `image_network`."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from melanoma.errors import InputError


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
        self.hidden = nn.Sequential(*(_hidden_layer(*pair) for pair in pairwise(widths)))
        self.width = widths[-1]

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of `images`."""
        return self.hidden(self.pool(self.convolutions(images)))


class MetadataNetwork(nn.Module):
    """Linear layers with batch norm, ReLU and dropout: metadata (n, inputs) to features (n, width)."""

    def __init__(self, inputs: int, settings: dict[str, Any]) -> None:
        super().__init__()
        widths = [inputs, *settings["widths"]]
        self.layers = nn.Sequential(
            *(nn.Sequential(_hidden_layer(*pair), nn.Dropout(settings["dropout"])) for pair in pairwise(widths))
        )
        self.width = widths[-1]

    def forward(self, metadata: Tensor) -> Tensor:
        """Return the features of `metadata`."""
        return self.layers(metadata)


class Classifier(nn.Module):
    """Features of the image, of the metadata, or both side by side, then one linear layer to one logit."""

    def __init__(self, image: nn.Module | None, metadata: nn.Module | None) -> None:
        super().__init__()
        self.image, self.metadata = image, metadata
        self.last = nn.Linear(sum(part.width for part in (image, metadata) if part is not None), 1)

    def forward(self, images: Tensor | None, metadata: Tensor) -> Tensor:
        """Return logits (n,) of images (n, 3, size, size) and metadata (n, columns)."""
        features = []
        if self.image is not None:
            features.append(self.image(images))
        if self.metadata is not None:
            features.append(self.metadata(metadata))
        return self.last(torch.cat(features, dim=1)).squeeze(1)


def build_network(recipe: dict[str, Any], size: int, columns: int) -> Classifier:
    """Return the recipe's network with random weights, for images of side `size` and `columns` of metadata."""
    reads_metadata = recipe["head"] == "joint" or recipe["network"] == "metadata_mlp"
    return Classifier(
        image=None if recipe["network"] == "metadata_mlp" else image_network(recipe, size),
        metadata=MetadataNetwork(columns, recipe["metadata"]) if reads_metadata else None,
    )


def image_network(recipe: dict[str, Any], size: int) -> nn.Module:
    """Return the part of the recipe's network that turns images of side `size` into features."""
    match recipe["network"]:
        case "baseline_cnn":
            return BaselineCNN(size, recipe["baseline_cnn"])
        case name:
            raise InputError(f"{name!r} is not an image network")


def _hidden_layer(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU())
