"""Options of the networks and of the metadata models of scikit-learn."""

import difflib
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from melanoma.config.base import Flag, Number, Section, Text, Whole, unread_if

WEIGHTS_FOLDER = "data/weights"
# The files of pretrained weights as their authors publish them: network -> file name, which ends in its SHA-256.
OFFICIAL_WEIGHTS = {
    "resnest50": "resnest50-528c19ca.pth",
    "resnest101": "resnest101-22405ba7.pth",
    "resnest200": "resnest200-75117900.pth",
    "resnest269": "resnest269-0cc87c48.pth",
    "efficientnet_b0": "efficientnet_b0_rwightman-7f5810bc.pth",
    "efficientnet_b1": "efficientnet_b1_rwightman-bac287d4.pth",
    "efficientnet_b2": "efficientnet_b2_rwightman-c35c1473.pth",
    "efficientnet_b3": "efficientnet_b3_rwightman-b3899882.pth",
    "efficientnet_b4": "efficientnet_b4_rwightman-23ab8bcd.pth",
    "efficientnet_b5": "efficientnet_b5_lukemelas-1a07897c.pth",
    "efficientnet_b6": "efficientnet_b6_lukemelas-24a108a5.pth",
    "efficientnet_b7": "efficientnet_b7_lukemelas-c5b4e57e.pth",
}
EXTERNAL = "external_predictions"
# The networks that read the features of a frozen network. Each has a section of its name with that network.
LINEAR_PROBE = "linear_probe"
FROZEN_FEATURES = (LINEAR_PROBE, "nearest_neighbors")
TABULAR_NETWORKS = ("logistic_regression", "random_forest", "naive_bayes", "gradient_boosting", *FROZEN_FEATURES)
NETWORKS = ("baseline_cnn", *OFFICIAL_WEIGHTS, "metadata_mlp", *TABULAR_NETWORKS, EXTERNAL)
TIMM = r"timm/[A-Za-z0-9_.-]+"
# The names of timm's networks are read from its source, because an import of timm takes seconds in every dry run.
REGISTERED = re.compile(r"^@register_model\n(?:@.*\n)*def (\w+)\(", re.MULTILINE)
# A network with the tag of its weights, a key of timm's configurations. A star marks the default.
TAGGED = re.compile(r"""^\s*['"](\w+\.\w+)\*?['"]\s*:""", re.MULTILINE)

Width = Annotated[Whole, Field(ge=1, le=65_536)]
Share = Annotated[Number, Field(ge=0, lt=1)]


def _known(network: str) -> str:
    if network not in NETWORKS and not re.fullmatch(TIMM, network):
        raise PydanticCustomError("network", "{network} is no network", {"network": repr(network)})
    return network


def _published(network: str) -> str:
    if network not in OFFICIAL_WEIGHTS and not re.fullmatch(TIMM, network):
        raise PydanticCustomError("published_network", "{network} is no network", {"network": repr(network)})
    return network


Network = Annotated[
    Text,
    AfterValidator(_known),
    WithJsonSchema({"anyOf": [{"enum": list(NETWORKS)}, {"type": "string", "pattern": f"^{TIMM}$"}]}),
]

PublishedNetwork = Annotated[
    Text,
    AfterValidator(_published),
    WithJsonSchema({"anyOf": [{"enum": list(OFFICIAL_WEIGHTS)}, {"type": "string", "pattern": f"^{TIMM}$"}]}),
]


class BaselineCNN(Section):
    """Layers of the baseline network. The defaults need an input of at least 330 pixels."""

    channels: tuple[Annotated[Whole, Field(ge=1, le=4096)], ...] = Field(
        default=(6, 15, 30, 60, 80, 100),
        min_length=1,
        description=(
            "Output channels of each convolution. ReLU, max pooling by 2 and, from the second convolution on, batch"
            " norm follow each one."
        ),
    )
    kernels: tuple[Annotated[Whole, Field(ge=1, le=255)], ...] = Field(
        default=(7, 7, 7, 5, 5, 5), min_length=1, description="Kernel size of each convolution in pixels."
    )
    stride: Whole = Field(
        default=1,
        ge=1,
        le=2,
        description=(
            "Stride of the first convolution in pixels. 2 halves the sides of all later feature maps, at a quarter of"
            " their cost."
        ),
    )
    padding: Literal["valid", "same"] = Field(
        default="valid", description="`valid` adds no pixels. `same` adds pixels, so that the size stays."
    )
    pooling: Literal["flatten", "average", "levels"] = Field(
        default="flatten",
        description=(
            "`flatten` gives every pixel of the last feature map to the hidden layers. `average` gives their mean."
            " `levels` gives the means of all pooled feature maps, from colors to shapes, under one batch norm."
        ),
    )
    hidden: tuple[Width, ...] = Field(
        default=(512, 512), description="Widths of the hidden layers, each with batch norm and ReLU."
    )

    def feature_sides(self, size: int) -> list[int]:
        """Return the side in pixels of each feature map after its pooling, for images of `size` pixels.

        A side is 0 if nothing of the image is left.
        """
        sides = []
        for number, kernel in enumerate(self.kernels):
            stride = self.stride if number == 0 else 1
            if self.padding == "valid":
                size = (size - kernel) // stride + 1
            elif stride > 1:
                size = (size + 2 * ((kernel - 1) // 2) - kernel) // stride + 1
            size = max(size // 2, 0)
            sides.append(size)
        return sides


class Backbone(Section):
    """How a network of resnest, torchvision or timm is used."""

    pretrained: Flag = Field(
        default=True,
        description=(
            "`true` starts from the weights file; a missing or wrong file is an error. `false` starts from random"
            " weights, and the report says so."
        ),
    )
    weights: Text | None = Field(
        default=None,
        json_schema_extra=unread_if(pretrained=[False]),
        description=(
            "File of the pretrained weights, of torch.save or .safetensors. If its name ends in a hash, as in"
            " name-0cc87c48.pth, the hash is checked. `null` is the official file in data/weights/ for resnest and"
            " torchvision, which is downloaded if it is missing. A network of timm needs a path, and an address under"
            " fetch."
        ),
    )
    features: Literal["pooled", "classes"] = Field(
        default="pooled",
        description=(
            "The features of the image. `pooled` is the last feature map, pooled, without the classifier and its"
            " dropout. `classes` are the logits of the published classes, 1000 of ImageNet, as in the two-network"
            " ensemble."
        ),
    )
    pooling: Literal["average", "gem"] = Field(
        default="average",
        description=(
            "Pooling of the last feature map. `average` is, for networks of timm, the pooling that the network was"
            " published with. `gem` is the generalized mean of Radenovic et al. (2018); its exponent is learned and"
            " starts at 3."
        ),
    )
    frozen_epochs: Whole = Field(
        default=0,
        ge=0,
        le=10_000,
        description="First epochs in which the weights and the batch norm statistics of the backbone do not change.",
    )
    gradient_checkpointing: Flag = Field(
        default=False,
        description=(
            "Compute features again in the backward pass instead of keeping them. This is a third slower and takes much"
            " less memory."
        ),
    )


class MetadataNetwork(Section):
    """The metadata network of metadata_mlp and of the head image_and_metadata."""

    widths: tuple[Width, ...] = Field(
        default=(256,), min_length=1, description="Widths of the layers, each with batch norm, ReLU and dropout."
    )
    dropout: Share = Field(default=0.2, description="Share of features that dropout removes in training.")


class RandomForest(Section):
    """Settings of random_forest, the RandomForestClassifier of scikit-learn."""

    n_estimators: Whole = Field(default=1000, ge=1, le=100_000, description="Number of trees.")
    max_depth: Whole = Field(default=2, ge=1, le=1000, description="Greatest depth of a tree.")


class GradientBoosting(Section):
    """Settings of gradient boosting, the HistGradientBoostingClassifier of scikit-learn."""

    max_iter: Whole = Field(default=100, ge=1, le=100_000, description="Number of trees.")
    learning_rate: Number = Field(default=0.05, gt=0, description="Factor of each tree's output.")
    max_leaf_nodes: Whole = Field(default=8, ge=2, le=100_000, description="Greatest number of leaves of a tree.")
    min_samples_leaf: Whole = Field(default=50, ge=1, le=1_000_000, description="Least number of images in a leaf.")
    l2_regularization: Number = Field(default=1.0, ge=0, description="L2 penalty of the values of the leaves.")


class LinearProbe(Section):
    """The network of linear_probe, which is not trained. Its weights and pooling are those under backbone."""

    network: PublishedNetwork = Field(
        default="efficientnet_b0",
        description=(
            "A network of resnest, torchvision or timm. The features of an image are the means over its eight flips and"
            " turns. They are computed once for all models with the same network, backbone and input_size."
        ),
        examples=["timm/vit_small_patch14_dinov2"],
    )


class NearestNeighbors(LinearProbe):
    """The network of nearest_neighbors, as that of linear_probe, and the number of neighbors."""

    n_neighbors: Whole | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description=(
            "How many training images, the nearest by cosine distance, give the probability: their share of melanomas,"
            " weighted by 1 / distance. `null` chooses the best number from 1 to 500 in inner folds of patients."
        ),
    )


def has_network(name: str) -> bool:
    """Tell whether the installed timm has a network of that name, with or without a tag of weights.

    Without timm, every name counts. A few modules of timm make tags by a loop; for their networks every tag counts.
    """
    names = timm_names()
    network, _, tag = name.partition(".")
    tags_known = any(known.startswith(f"{network}.") for known in names)
    return not names or name in names or (bool(tag) and network in names and not tags_known)


def nearest_networks(name: str) -> list[str]:
    """Return up to three names of timm's networks that are most similar to `name`."""
    return difflib.get_close_matches(name, sorted(timm_names()), n=3)


@cache
def timm_names() -> frozenset[str]:
    """Return the networks of the installed timm, also with the tags of their weights; empty without timm."""
    found = find_spec("timm")
    if found is None or found.origin is None:
        return frozenset()
    sources = [path.read_text() for path in Path(found.origin).parent.glob("models/*.py")]
    return frozenset(name for text in sources for name in [*REGISTERED.findall(text), *TAGGED.findall(text)])
