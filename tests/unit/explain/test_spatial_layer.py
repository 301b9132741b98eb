"""The layer of Grad-CAM is found in the networks of each library, without a list of their layers."""

import pytest
import torch

import tiny
from melanoma.explain.spatial_layer import spatial_layer
from melanoma.models.classifier import Classifier, build_network

BACKBONES = ["timm/test_resnet", "timm/test_efficientnet", "timm/test_convnext", "resnest50", "efficientnet_b0"]


def side_of_map(network: Classifier, side: int) -> int | None:
    """Return the side of the feature map that the layer of Grad-CAM gives for images of `side` pixels."""
    images, metadata = torch.rand(1, 3, side, side), torch.rand(1, 5)
    layer = spatial_layer(network.eval(), images, metadata)
    if layer is None:
        return None
    shapes = []
    layer.register_forward_hook(lambda _layer, _inputs, output: shapes.append(output.shape))
    network(images, metadata)
    assert len(shapes[0]) == 4 and shapes[0][2] == shapes[0][3]
    return shapes[0][2]


@pytest.mark.parametrize("name", BACKBONES)
def test_a_convolutional_network_has_its_last_feature_map(name):
    network = build_network(tiny.recipe(network=name, backbone={"pretrained": False}), 160, 5)
    assert side_of_map(network, 160) == 160 // 32


def test_a_map_that_is_too_small_gives_way_to_an_earlier_one():
    network = build_network(tiny.recipe(network="timm/test_resnet", backbone={"pretrained": False}), 64, 5)
    assert side_of_map(network, 64) == 4


@pytest.mark.parametrize("name", ["timm/test_vit", "timm/swin_tiny_patch4_window7_224"])
def test_a_network_that_ends_in_tokens_has_none(name):
    size = 224 if "swin" in name else 160
    network = build_network(tiny.recipe(network=name, backbone={"pretrained": False}), size, 5)
    assert side_of_map(network, size) is None


def test_a_network_of_metadata_has_none():
    assert side_of_map(build_network(tiny.recipe(network="metadata_mlp"), 64, 5), 64) is None
