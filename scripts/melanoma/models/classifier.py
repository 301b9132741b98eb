"""Networks by name. To add one: a module with `width`, and its name in `image_network`."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from melanoma.config import networks as options
from melanoma.config.recipe import Recipe
from melanoma.models.backbones import Backbone, build_backbone
from melanoma.models.baseline_cnn import BaselineCNN
from melanoma.models.layers import FeatureNetwork, hidden_layer


class MetadataNetwork(FeatureNetwork):
    """Linear layers with batch norm, ReLU and dropout, from metadata (n, inputs) to features (n, width)."""

    def __init__(self, inputs: int, settings: options.MetadataNetwork) -> None:
        super().__init__()
        widths = [inputs, *settings.widths]
        self.layers = nn.Sequential(
            *(nn.Sequential(hidden_layer(*pair), nn.Dropout(settings.dropout)) for pair in pairwise(widths))
        )
        self.width = widths[-1]

    def forward(self, metadata: Tensor) -> Tensor:
        """Return the features of `metadata`."""
        features: Tensor = self.layers(metadata)
        return features


class Classifier(nn.Module):
    """Features of the image, of the metadata, or both concatenated, then a linear layer to all outputs.

    Before that layer are the hidden layers of the head, if any, and dropout.

    In training the outputs are the mean over `samples` dropout masks (multi-sample dropout, Inoue 2019, but with the
    mean of the outputs instead of the losses).
    """

    def __init__(
        self,
        image: FeatureNetwork | None,
        metadata: FeatureNetwork | None,
        outputs: int,
        dropout: float,
        samples: int,
        hidden: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.image, self.metadata = image, metadata
        self.dropout, self.samples = nn.Dropout(dropout), samples
        widths = [sum(part.width for part in (image, metadata) if part is not None), *hidden]
        self.hidden = nn.Sequential(*(hidden_layer(*pair) for pair in pairwise(widths)))
        self.last = nn.Linear(widths[-1], outputs)

    def forward(self, images: Tensor | None, metadata: Tensor) -> Tensor:
        """Return outputs (n, 1 + diagnoses) of images (n, 3, size, size) and metadata (n, columns).

        Column 0 is the logit of melanoma. The others are the logits of the diagnoses.
        """
        return self.classify(self.embed(images), metadata)

    def embed(self, images: Tensor | None) -> Tensor | None:
        """Return the features of images, (n, width), or None if the network reads no images."""
        return None if self.image is None else self.image(images)

    def classify(self, embedding: Tensor | None, metadata: Tensor) -> Tensor:
        """Return the outputs as `forward` does, for the features that `embed` returned."""
        parts = [] if embedding is None else [embedding]
        if self.metadata is not None:
            parts.append(self.metadata(metadata))
        features = self.hidden(torch.cat(parts, dim=1))
        masks = self.samples if self.training else 1
        return torch.stack([self.last(self.dropout(features)) for _ in range(masks)]).mean(dim=0)

    def freeze(self, frozen: bool) -> None:
        """Freeze or release the backbone, as `Backbone.freeze` does. Other networks have none to freeze."""
        if isinstance(self.image, Backbone):
            self.image.freeze(frozen)


def build_network(recipe: Recipe, size: int, columns: int, diagnoses: int = 0) -> Classifier:
    """Return the recipe's network with random weights.

    It is for images of side `size`, `columns` of metadata, and `diagnoses` classes of the auxiliary loss. Raises
    InputError if the network does not exist or cannot take images of that size.
    """
    return Classifier(
        image=image_network(recipe, size) if recipe.reads_images else None,
        metadata=MetadataNetwork(columns, recipe.metadata) if recipe.metadata_inputs else None,
        outputs=1 + diagnoses,
        dropout=recipe.dropout,
        samples=recipe.multi_sample_dropout,
        hidden=recipe.head_hidden,
    )


def image_network(recipe: Recipe, size: int) -> FeatureNetwork:
    """Return the network from images of side `size` to features."""
    if recipe.is_backbone:
        return build_backbone(recipe.network, size, recipe.backbone)
    return BaselineCNN(size, recipe.baseline_cnn)
