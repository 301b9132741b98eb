"""Networks by name. To add one: a module with `width`, and its name in `image_network`."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from melanoma.config.recipe import Recipe
from melanoma.models.backbones import Backbone, build_backbone
from melanoma.models.baseline_cnn import BaselineCNN
from melanoma.models.layers import hidden_layer


class MetadataNetwork(nn.Module):
    """Linear layers with batch norm, ReLU and dropout: metadata (n, inputs) to features (n, width)."""

    def __init__(self, inputs: int, settings: dict[str, Any]) -> None:
        super().__init__()
        widths = [inputs, *settings["widths"]]
        self.layers = nn.Sequential(
            *(nn.Sequential(hidden_layer(*pair), nn.Dropout(settings["dropout"])) for pair in pairwise(widths))
        )
        self.width = widths[-1]

    def forward(self, metadata: Tensor) -> Tensor:
        """Return the features of `metadata`."""
        return self.layers(metadata)


class Classifier(nn.Module):
    """Features of the image, of the metadata, or both side by side, then dropout and one linear layer to all outputs.

    In training the outputs are the mean of those under `samples` dropout masks (multi-sample dropout, Inoue 2019, with
    outputs averaged instead of losses).
    """

    def __init__(
        self, image: nn.Module | None, metadata: MetadataNetwork | None, outputs: int, dropout: float, samples: int
    ) -> None:
        super().__init__()
        self.image, self.metadata = image, metadata
        self.dropout, self.samples = nn.Dropout(dropout), samples
        self.last = nn.Linear(sum(part.width for part in (image, metadata) if part is not None), outputs)

    def forward(self, images: Tensor | None, metadata: Tensor) -> Tensor:
        """Return outputs (n, 1 + diagnoses) of images (n, 3, size, size) and metadata (n, columns).

        Column 0 is the logit of melanoma, the others are the logits of the diagnoses.
        """
        return self.classify(self.embed(images), metadata)

    def embed(self, images: Tensor | None) -> Tensor | None:
        """Return the embedding of images, (n, width), their features in the last layer; None where it sees none."""
        return None if self.image is None else self.image(images)

    def classify(self, embedding: Tensor | None, metadata: Tensor) -> Tensor:
        """Return the outputs of `forward` for images of this embedding."""
        parts = [] if embedding is None else [embedding]
        if self.metadata is not None:
            parts.append(self.metadata(metadata))
        features = torch.cat(parts, dim=1)
        masks = self.samples if self.training else 1
        return torch.stack([self.last(self.dropout(features)) for _ in range(masks)]).mean(dim=0)

    def freeze(self, frozen: bool) -> None:
        """Keep the weights and batch norm statistics of the backbone as they are, or train them again.

        Without effect on the pooling, the metadata network, the last layer, and networks that are no backbone.
        """
        if isinstance(self.image, Backbone):
            self.image.freeze(frozen)


def build_network(recipe: dict[str, Any], size: int, columns: int, diagnoses: int = 0) -> Classifier:
    """Return the recipe's network with random weights.

    It is for images of side `size`, `columns` of metadata, and `diagnoses` classes of an auxiliary task. Raises
    InputError where the network is not known or cannot take images of that size.
    """
    reads_metadata = recipe["head"] == "image_and_metadata" or recipe["network"] == "metadata_mlp"
    return Classifier(
        image=None if recipe["network"] == "metadata_mlp" else image_network(recipe, size),
        metadata=MetadataNetwork(columns, recipe["metadata"]) if reads_metadata else None,
        outputs=1 + diagnoses,
        dropout=recipe["dropout"],
        samples=recipe["multi_sample_dropout"],
    )


def image_network(recipe: dict[str, Any], size: int) -> nn.Module:
    """Return the part of the recipe's network that turns images of side `size` into features."""
    if Recipe(network=recipe["network"]).is_backbone:
        return build_backbone(recipe["network"], size, recipe["backbone"])
    return BaselineCNN(size, recipe["baseline_cnn"])
