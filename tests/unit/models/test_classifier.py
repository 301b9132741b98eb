"""Networks: features are those of the libraries; pooling, dropout and freezing are as documented."""

import copy
import subprocess
import sys

import pytest
import timm
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from resnest import torch as resnest
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

import tiny
from melanoma.augment.transforms import IMAGENET_MEAN, IMAGENET_STD
from melanoma.common.errors import InputError
from melanoma.config.facts import start_of
from melanoma.config.networks import OFFICIAL_WEIGHTS, Backbone
from melanoma.config.recipe import Recipe
from melanoma.models.classifier import Classifier, build_network
from melanoma.models.layers import GeneralizedMean
from melanoma.stats.metrics import auroc
from project import SCRIPTS

COLUMNS = 5
SMALL = ("resnest50", "efficientnet_b0", "timm/resnet18")
WIDE = {"channels": [32, 64], "kernels": [3, 3], "padding": "same", "hidden": [64]}
DEEP = ("resnest101", "resnest200", "resnest269", *(f"efficientnet_b{number}" for number in range(4, 8)))
POOLINGS = ("avgpool", "global_pool", "head.global_pool")
TRANSFORMER = "timm/vit_tiny_patch16_224"


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in one order, and no more processor than a test is due."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def recipe(network: str, backbone: dict | None = None, **changes) -> Recipe:
    return tiny.recipe(network=network, backbone={"pretrained": False} | (backbone or {}), **changes)


def built(network: str, size: int = 64, diagnoses: int = 0, **changes) -> Classifier:
    torch.manual_seed(0)
    return build_network(recipe(network, **changes), size, COLUMNS, diagnoses)


def inputs(count: int = 2, size: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, size, size, generator=draw), torch.randn(count, COLUMNS, generator=draw)


def library_network(name: str, size: int, weights: dict[str, torch.Tensor]) -> nn.Module:
    """The network as its library builds it, with these weights, for prediction."""
    if name.startswith("timm/"):
        known = name.removeprefix("timm/")
        fixed = timm.get_pretrained_cfg(known).fixed_input_size
        network = timm.create_model(known, **({"img_size": size} if fixed else {}))
    else:
        with torch.device("meta"):  # random weights of a large network take seconds
            network = getattr(resnest if name.startswith("resnest") else torchvision.models, name)()
    network.load_state_dict(weights, assign=True)
    return network.eval()


@torch.no_grad()
@pytest.mark.parametrize(
    "name",
    [
        *(pytest.param(name, marks=pytest.mark.large) if name in DEEP else name for name in OFFICIAL_WEIGHTS),
        *("timm/resnet18", "timm/convnext_atto", "timm/swin_tiny_patch4_window7_224"),
    ],
)
def test_the_logits_are_those_of_the_library(name):
    """With the classes as features and a last layer that passes one of them on."""
    model = built(name, 64, backbone={"features": "classes"}).eval()
    nn.init.zeros_(model.last.weight)[0, 7] = 1
    nn.init.zeros_(model.last.bias)
    images, metadata = inputs()
    expected = library_network(name, 64, model.image.network.state_dict())(images)[:, 7]
    assert expected.isfinite().all() and expected[0] != expected[1]
    torch.testing.assert_close(model(images, metadata)[:, 0] / expected, torch.ones(2), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_network_of_timm_gets_images_normalized_as_it_was_trained_with():
    model = built(TRANSFORMER, 64, backbone={"features": "classes"}).eval()
    library = library_network(TRANSFORMER, 64, model.image.network.state_dict())
    photograph = torch.rand(2, 3, 64, 64)
    mean, std = (torch.tensor(values).float()[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    features = model.image((photograph - mean) / std)
    torch.testing.assert_close(features, library((photograph - 0.5) / 0.5), rtol=1e-5, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(("name", "width"), [("resnest50", 2048), ("efficientnet_b0", 1280), ("timm/resnet18", 512)])
def test_pooled_features_are_the_mean_of_the_last_feature_map(name, width):
    model = built(name).eval()
    network, maps = model.image.network, []
    last = {"resnest50": "layer4", "efficientnet_b0": "features", "timm/resnet18": "layer4"}[name]
    network.get_submodule(last).register_forward_hook(lambda *call: maps.append(call[2]))
    features = model.image(inputs()[0])
    assert features.shape == (2, width) == (2, model.image.width)
    torch.testing.assert_close(features, maps[0].mean((2, 3)))


@torch.no_grad()
@pytest.mark.parametrize("name", [*SMALL, "timm/convnext_atto", "timm/mobilenetv3_small_050"])
def test_gem_of_exponent_one_is_average_pooling_where_features_are_positive(name):
    """The two networks have the same weights, and all that they pool is made positive."""
    average, gem = built(name).eval(), built(name, backbone={"pooling": "gem"}).eval()
    gem.image.network.load_state_dict(average.image.network.state_dict(), strict=False)
    for network in (average.image.network, gem.image.network):
        (pool,) = [part for path, part in network.named_modules() if path in POOLINGS]
        pool.register_forward_pre_hook(lambda _, features: (features[0].abs() + 1e-3,))
    nn.init.ones_(pool.exponent)
    images, _ = inputs()
    torch.testing.assert_close(gem.image(images), average.image(images), rtol=1e-4, atol=1e-5)


@given(exponent=st.floats(0.5, 6), channels_last=st.booleans(), keepdim=st.booleans(), seed=st.integers(0, 99))
def test_gem_is_the_generalized_mean(exponent, channels_last, keepdim, seed):
    dims = (1, 2) if channels_last else (2, 3)
    features = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(seed)) * 4
    pool = GeneralizedMean(dims, keepdim)
    pool.exponent.data.fill_(exponent)
    expected = features.double().pow(exponent).mean(dims, keepdim=keepdim).pow(1 / exponent)
    torch.testing.assert_close(pool(features), expected.float(), rtol=1e-5, atol=1e-5)


def test_gem_has_the_gradient_of_the_generalized_mean():
    features = torch.rand(2, 3, 4, 4, requires_grad=True)
    pool = GeneralizedMean()
    pool(features).square().sum().backward()
    again, exponent = features.detach().double().requires_grad_(), torch.tensor(3.0).double().requires_grad_()
    again.pow(exponent).mean((2, 3)).pow(1 / exponent).square().sum().backward()
    torch.testing.assert_close(features.grad, again.grad.float(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(pool.exponent.grad, exponent.grad.float()[None], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e30])
@pytest.mark.parametrize("exponent", [3.0, 40.0])
def test_gem_neither_overflows_nor_vanishes_in_float32(scale, exponent):
    features = (torch.rand(1, 2, 3, 3) * scale).requires_grad_()
    pool = GeneralizedMean()
    pool.exponent.data.fill_(exponent)
    pooled = pool(features)
    pooled.sum().backward()
    low, high = features.detach().mean((2, 3)), features.detach().amax((2, 3))
    assert ((pooled > 0.99 * low) & (pooled < 1.01 * high)).all()
    assert features.grad.isfinite().all() and pool.exponent.grad.isfinite().all()


def test_gem_of_a_map_without_any_positive_value_is_not_zero_and_has_a_gradient():
    features = torch.full((1, 2, 3, 3), -1.0, requires_grad=True)
    pool = GeneralizedMean()
    pool(features).sum().backward()
    assert features.grad.eq(0).all() and pool.exponent.grad.isfinite().all()


def test_outputs_are_the_logit_and_one_for_each_diagnosis():
    for name in ("baseline_cnn", "metadata_mlp", "efficientnet_b0"):
        images, metadata = inputs(3)
        assert built(name, diagnoses=4)(images, metadata).shape == (3, 5)
        assert built(name)(images, metadata).shape == (3, 1)


@torch.no_grad()
def test_the_head_image_and_metadata_concatenates_features_before_one_last_layer():
    model = built(
        "timm/resnet18", head="image_and_metadata", metadata={"widths": [6], "dropout": 0.2}, diagnoses=2
    ).eval()
    images, metadata = inputs()
    features = torch.cat([model.image(images), model.metadata(metadata)], dim=1)
    assert features.shape == (2, 512 + 6)
    expected = features @ model.last.weight.T + model.last.bias
    torch.testing.assert_close(model(images, metadata), expected)


@torch.no_grad()
def test_the_heads_hidden_layers_lie_between_the_features_and_the_last_layer():
    model = built("baseline_cnn", head="image_and_metadata", head_hidden=[7, 3]).eval()
    images, metadata = inputs()
    features = torch.cat([model.image(images), model.metadata(metadata)], dim=1)
    assert [layer[0].out_features for layer in model.hidden] == [7, 3]
    torch.testing.assert_close(model(images, metadata), model.last(model.hidden(features)))


@torch.no_grad()
def test_multi_sample_dropout_is_the_mean_of_the_outputs_under_several_masks():
    model = built("timm/resnet18", head="image_and_metadata", dropout=0.5, multi_sample_dropout=5, diagnoses=2)
    images, metadata = inputs(4)
    features = torch.cat([model.image(images), model.metadata.eval()(metadata)], dim=1)
    torch.manual_seed(3)
    masks = [(torch.empty_like(features).bernoulli_(0.5) / 0.5) for _ in range(5)]
    expected = torch.stack([(features * mask) @ model.last.weight.T + model.last.bias for mask in masks]).mean(0)
    torch.manual_seed(3)
    torch.testing.assert_close(model(images, metadata), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_prediction_is_without_dropout():
    plain, dropping = built("timm/resnet18"), built("timm/resnet18", dropout=0.5, multi_sample_dropout=3)
    dropping.load_state_dict(plain.state_dict())
    assert torch.equal(plain.eval()(*inputs()), dropping.eval()(*inputs()))


def step(model: Classifier, optimizer: torch.optim.Optimizer, size: int = 32) -> None:
    torch.manual_seed(7)
    images, metadata = inputs(4, size)
    optimizer.zero_grad()
    model(images, metadata)[:, 0].square().sum().backward()
    optimizer.step()


@pytest.mark.parametrize("name", SMALL)
def test_a_frozen_backbone_keeps_weights_and_statistics_while_the_rest_learns(name):
    model = built(name, head="image_and_metadata", backbone={"pooling": "gem"})
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    published = {name for name, _ in model.image.named_parameters(prefix="image") if not name.endswith("exponent")}
    statistics = {buffer for buffer, _ in model.named_buffers() if buffer.startswith("image.")}
    before = copy.deepcopy(model.state_dict())
    model.freeze(True)
    model.train()
    step(model, optimizer, 64)
    after = copy.deepcopy(model.state_dict())
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert not changed & (published | statistics)
    assert {"last.weight", "metadata.layers.0.0.0.weight"} <= changed and any("exponent" in key for key in changed)
    model.freeze(False)
    step(model, optimizer)
    changed = {key for key, value in model.state_dict().items() if not torch.equal(after[key], value)}
    assert any(key.endswith("running_mean") for key in changed & statistics) and changed & published


def test_freezing_does_not_change_networks_without_a_backbone():
    for name in ("baseline_cnn", "metadata_mlp"):
        model = built(name)
        model.freeze(True)
        assert model.train().training and all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("name", ["resnest50", "efficientnet_b0", "timm/efficientnet_lite0", TRANSFORMER])
def test_gradient_checkpointing_changes_neither_gradients_nor_weights_nor_statistics(name):
    """Over two steps: what batch norm has counted twice would show in the second. Stochastic depth is drawn alike."""
    kept, checkpointed = built(name, 32), built(name, 32, backbone={"gradient_checkpointing": True})
    assert list(kept.state_dict()) == list(checkpointed.state_dict())
    checkpointed.load_state_dict(kept.state_dict())
    for model in (kept, checkpointed):
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
        step(model, optimizer)
        step(model, optimizer)
    for (key, parameter), other in zip(kept.named_parameters(), checkpointed.parameters(), strict=True):
        assert torch.equal(parameter.grad, other.grad), key
    for key, value in checkpointed.state_dict().items():
        assert key.endswith("num_batches_tracked") or torch.equal(value, kept.state_dict()[key]), key


@pytest.mark.parametrize("name", SMALL)
def test_gradient_checkpointing_keeps_less_for_the_backward_pass(name):
    def kept_bytes(model: Classifier) -> int:
        sizes = {}

        def note(tensor):
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            outputs = model(*inputs(4, 32))
        assert outputs.requires_grad
        return sum(sizes.values()) - sum(p.nbytes for p in model.parameters() if p.data_ptr() in sizes)

    assert kept_bytes(built(name, 32, backbone={"gradient_checkpointing": True})) < 0.7 * kept_bytes(built(name, 32))


@pytest.mark.large
@pytest.mark.parametrize("name", [*SMALL, "timm/convnext_atto", "baseline_cnn"])
def test_a_network_can_memorize_random_images(name):
    model = built(name, 32, baseline_cnn=WIDE)
    images, metadata = inputs(64, 32)
    targets = (torch.arange(64) % 4 == 0).float()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(40):
        optimizer.zero_grad()
        logits = model(images, metadata)[:, 0]
        if auroc(targets.long().numpy(), logits.detach().double().numpy()) == 1:
            return
        binary_cross_entropy_with_logits(logits, targets).backward()
        optimizer.step()
    pytest.fail("the network has not learned them in 40 steps")


@pytest.mark.large
def test_resnest269_takes_a_training_step():
    """At 224 pixels; benchmarks/steps.py takes larger ones."""
    model = built("resnest269", 224, head="image_and_metadata", backbone={"features": "classes"})
    images, metadata = inputs(2, 224)
    model(images, metadata).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("name", "size", "settings", "message"),
    [
        ("timm/resnet81", 64, {}, r"has no network 'resnet81' \(did you mean timm/resnet18"),
        (
            "timm/resnet18.a2_in2k",
            64,
            {},
            r"no network 'resnet18.a2_in2k' \(did you mean timm/resnet18.a2_in1k",
        ),
        ("timm/vgg11", 16, {}, r"timm/vgg11 cannot take images of 16 x 16 pixels .*input_size"),
        ("timm/crossvit_tiny_240", 256, {}, r"cannot take images of 256 x 256 pixels .*input_size"),
        (TRANSFORMER, 64, {"pooling": "gem"}, r"has no pooled feature map, which gem needs; set it to average"),
    ],
)
def test_a_network_that_cannot_be_built_is_an_error_with_a_remedy(name, size, settings, message):
    with pytest.raises(InputError, match=message):
        built(name, size, backbone=settings)


@torch.no_grad()
@pytest.mark.parametrize("size", [64, 96])
def test_a_transformer_is_built_for_the_size_of_the_images(size):
    assert built(TRANSFORMER, size).eval()(*inputs(2, size)).shape == (2, 1)


def test_the_weights_file_of_a_recipe_is_its_own_or_the_official_one():
    assert Recipe(network="resnest269").weights_file == "data/weights/resnest269-0cc87c48.pth"
    own = Recipe(network="timm/resnet18", backbone=Backbone(weights="my/file.pth"))
    assert own.weights_file == "my/file.pth" and start_of(own) == "pretrained weights file.pth"
    untrained = Recipe(network="resnest269", backbone=Backbone(pretrained=False))
    assert untrained.weights_file is None and start_of(untrained) == "random weights"
    starts = {"baseline_cnn": "random weights", "metadata_mlp": "random weights", "naive_bayes": ""}
    for name, start in (starts | {"external_predictions": ""}).items():
        assert Recipe(network=name).weights_file is None and start_of(Recipe(network=name)) == start


def test_planning_imports_neither_torch_nor_timm():
    planning = (
        "import sys, melanoma.config.facts, melanoma.config.yaml_files;"
        " sys.exit(bool({'torch', 'timm'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", planning], cwd=SCRIPTS).returncode == 0
