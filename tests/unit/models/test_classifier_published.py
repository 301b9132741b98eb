"""The published networks have their published layers: numbers of parameters, sides of feature maps, widths."""

import pytest
import torch

from melanoma.config.recipe import Recipe
from melanoma.models.classifier import Classifier, build_network

SEVEN = 7  # age, sex and five sites: the metadata of the two-network ensemble
JOINT = {"head": "image_and_metadata"}
CLASSES = JOINT | {"backbone": {"features": "classes"}}

# Parameters of the image network and of the last layer, and the features of an image.
NETWORKS = [
    ("baseline_cnn", JOINT, 1_119_219, 512 + 256 + 1, 512),
    ("resnest200", CLASSES, 70_201_544, 1000 + 256 + 1, 1000),
    ("resnest269", CLASSES, 110_929_480, 1000 + 256 + 1, 1000),
    # torchvision's 9,109,994, 19,341,616 and 43,040,704 without the classifier of 1000 classes.
    ("efficientnet_b2", {}, 9_109_994 - 1409 * 1000, 1408 + 1, 1408),
    ("efficientnet_b4", {}, 19_341_616 - 1793 * 1000, 1792 + 1, 1792),
    ("efficientnet_b6", {}, 43_040_704 - 2305 * 1000, 2304 + 1, 2304),
]
# The sides of the feature maps, from the image to the last map.
SIDES = [
    ("baseline_cnn", JOINT, [512, 253, 123, 58, 27, 11, 3]),
    ("resnest269", CLASSES, [512, 256, 128, 64, 32, 16]),
    ("resnest269", CLASSES, [416, 208, 104, 52, 26, 13]),
    *((f"efficientnet_{size}", {}, [384, 192, 96, 48, 24, 12]) for size in ("b2", "b4", "b6")),
    *((f"efficientnet_{size}", {}, [512, 256, 128, 64, 32, 16]) for size in ("b2", "b4", "b6")),
]


def built(name: str, options: dict, size: int) -> Classifier:
    """The network without memory for its weights."""
    with torch.device("meta"):
        return build_network(Recipe.model_validate({"network": name} | options), size, SEVEN).eval()


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(("name", "options", "image", "last", "width"), NETWORKS)
def test_a_published_network_has_its_number_of_parameters(name, options, image, last, width):
    network = built(name, options, 512)
    assert (parameters(network.image), parameters(network.last), network.image.width) == (image, last, width)


def test_the_published_metadata_network_is_one_layer_of_256_on_seven_numbers():
    metadata = built("baseline_cnn", JOINT, 512).metadata
    assert [type(layer).__name__ for layer in metadata.modules() if not list(layer.children())] == [
        "Linear", "BatchNorm1d", "ReLU", "Dropout",
    ]  # fmt: skip
    assert parameters(metadata) == 7 * 256 + 256 + 2 * 256


@pytest.mark.parametrize(("name", "options", "sides"), SIDES)
def test_a_published_networks_feature_maps_have_their_sides(name, options, sides):
    """A convolution without padding gives a side that is pooled before it counts."""
    network, found = built(name, options, sides[0]), [sides[0]]
    kinds = torch.nn.MaxPool2d if name == "baseline_cnn" else (torch.nn.Conv2d, torch.nn.AvgPool2d, torch.nn.MaxPool2d)

    def note(_, __, output):
        if output.shape[-1] > 1 and output.shape[-1] != found[-1]:
            found.append(output.shape[-1])

    for layer in network.image.modules():
        if isinstance(layer, kinds):
            layer.register_forward_hook(note)
    network.embed(torch.zeros(1, 3, sides[0], sides[0], device="meta"))
    assert found == sides
