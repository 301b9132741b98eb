"""The baseline network has the published layers."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from melanoma.common.errors import InputError
from melanoma.config import networks
from melanoma.models.baseline_cnn import BaselineCNN


def test_the_baseline_network_has_the_published_layer_shapes():
    network = BaselineCNN(512, networks.BaselineCNN()).eval()
    sides, images = [512], torch.zeros(1, 3, 512, 512)
    for layer in network.convolutions:
        images = layer(images)
        if isinstance(layer, torch.nn.MaxPool2d):
            sides.append(images.shape[-1])
    assert sides == [512, 253, 123, 58, 27, 11, 3]
    convolutions = [layer for layer in network.convolutions if isinstance(layer, torch.nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [6, 15, 30, 60, 80, 100]
    assert [layer.kernel_size[0] for layer in convolutions] == [7, 7, 7, 5, 5, 5]
    linear = [layer for layer in network.hidden.modules() if isinstance(layer, torch.nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [(900, 512), (512, 512)]


def test_with_levels_the_features_are_the_means_of_every_map_normalized():
    settings = networks.BaselineCNN(channels=(4, 6), kernels=(3, 3), padding="same", pooling="levels", hidden=())
    torch.manual_seed(0)
    network, images = BaselineCNN(32, settings).eval(), torch.rand(5, 3, 32, 32)
    first, second = network.convolutions[:3], network.convolutions[3:]
    expected = torch.cat([first(images).mean((2, 3)), second(first(images)).mean((2, 3))], dim=1)
    assert network.width == 10
    assert torch.allclose(network(images), expected / (1 + network.norm.eps) ** 0.5, atol=1e-6)
    assert network.train()(images).mean(0).abs().max() < 1e-5


@given(
    size=st.integers(40, 90),
    kernels=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    stride=st.sampled_from([1, 2]),
    padding=st.sampled_from(["valid", "same"]),
)
def test_feature_maps_have_the_sides_of_feature_sides(size, kernels, stride, padding):
    channels = (2,) * len(kernels)
    settings = networks.BaselineCNN(channels=channels, kernels=kernels, stride=stride, padding=padding, hidden=())
    sides = settings.feature_sides(size)
    assume(sides[-1] > 0)
    network = BaselineCNN(size, settings)
    images, found = torch.zeros(1, 3, size, size), []
    for layer in network.eval().convolutions:
        images = layer(images)
        if isinstance(layer, torch.nn.MaxPool2d):
            found.append(images.shape[-1])
    assert found == sides and network.width == 2 * sides[-1] ** 2


def test_an_image_too_small_for_the_network_is_an_error_that_says_what_to_change():
    with pytest.raises(InputError, match="after convolution 3 of 3; take a larger input_size"):
        BaselineCNN(16, networks.BaselineCNN(channels=(4, 4, 4), kernels=(5, 5, 5)))
