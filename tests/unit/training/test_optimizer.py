"""The optimizer: groups of parameters, their rates and decays, clipping; with one group it is torch's own."""

import re

import pytest
import torch
from torch import nn

from melanoma.common.errors import InputError
from melanoma.config.optimization import Optimizer, ParameterGroup
from melanoma.training.optimizer import build_optimizer, clip, create_state, load_state, set_rates


def settings(**changes) -> Optimizer:
    return Optimizer(**{"learning_rate": 0.01, "weight_decay": 0.1, **changes})


def network() -> nn.Module:
    torch.manual_seed(0)
    image = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten())
    return nn.ModuleDict({"image": image, "last": nn.Linear(64, 1)})


def group(match: str, **rates) -> ParameterGroup:
    return ParameterGroup(match=match, **rates)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 5) -> list[torch.Tensor]:
    images = torch.randn(steps, 8, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    for batch in images:
        optimizer.zero_grad(set_to_none=True)
        model["last"](model["image"](batch)).square().mean().backward()
        optimizer.step()
    return [tensor.clone() for tensor in model.state_dict().values()]


def by_name(model: nn.Module, optimizer: torch.optim.Optimizer, key: str) -> dict[str, float]:
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {names[item]: made[key] for made in optimizer.param_groups for item in made["params"]}


@pytest.mark.parametrize(
    ("changes", "make"),
    [
        ({}, lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.1)),
        ({"name": "adamw"}, lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1)),
        ({"name": "sgd"}, lambda p: torch.optim.SGD(p, lr=0.01, weight_decay=0.1, momentum=0.9, nesterov=True)),
        ({"name": "sgd", "momentum": 0}, lambda p: torch.optim.SGD(p, lr=0.01, weight_decay=0.1)),
    ],
)
def test_with_one_group_the_steps_are_torchs_to_the_bit(changes, make):
    model, reference = network(), network()
    optimizer = build_optimizer(model, settings(**changes))
    assert len(optimizer.param_groups) == 1
    pairs = zip(train(model, optimizer), train(reference, make(reference.parameters())), strict=True)
    assert all(torch.equal(left, right) for left, right in pairs)


def test_groups_with_equal_rates_give_the_same_steps_as_one_group():
    model, reference = network(), network()
    split = settings(groups=[group("^image", weight_decay=0.1), group("bias$", learning_rate=0.01)])
    optimizer = build_optimizer(model, split)
    assert len(optimizer.param_groups) == 1
    nearly = settings(groups=[group("^image", weight_decay=0.1 + 1e-17)])
    pairs = zip(train(model, optimizer), train(reference, build_optimizer(reference, nearly)), strict=True)
    assert all(torch.equal(left, right) for left, right in pairs)


def test_every_parameter_is_in_one_group_in_the_models_order_frozen_or_not():
    model = network()
    model["image"].requires_grad_(False)
    grouped = settings(groups=[group("last", learning_rate=1.0)], no_weight_decay_on_norm_and_bias=True)
    optimizers = [build_optimizer(model, grouped) for _ in range(2)]
    orders = [[id(item) for made in optimizer.param_groups for item in made["params"]] for optimizer in optimizers]
    assert orders[0] == orders[1] and sorted(orders[0]) == sorted(map(id, model.parameters()))
    first = [
        next(i for i, p in enumerate(model.parameters()) if p is g["params"][0]) for g in optimizers[0].param_groups
    ]
    assert first == sorted(first) and len(first) == 4


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_frozen_parameters_do_not_change_until_they_are_released(name):
    model = network()
    start = [parameter.clone() for parameter in model["image"].parameters()]
    model["image"].requires_grad_(False)
    optimizer = build_optimizer(model, settings(name=name))
    train(model, optimizer)
    assert all(torch.equal(*pair) for pair in zip(start, model["image"].parameters(), strict=True))
    model["image"].requires_grad_(True)
    train(model, optimizer)
    assert not any(torch.equal(*pair) for pair in zip(start, model["image"].parameters(), strict=True))


def test_the_first_matching_pattern_gives_the_rates_of_a_parameter():
    model = network()
    groups = [group("image.0", learning_rate=0.5), group("^image", learning_rate=0.2, weight_decay=0)]
    optimizer = build_optimizer(model, settings(groups=groups))
    rates, decays = by_name(model, optimizer, "lr"), by_name(model, optimizer, "weight_decay")
    assert rates["image.0.weight"] == 0.5 and decays["image.0.weight"] == 0.1
    assert rates["image.3.weight"] == 0.2 and decays["image.3.weight"] == 0
    assert rates["last.weight"] == 0.01 and decays["last.weight"] == 0.1


@pytest.mark.parametrize("patterns", [["^backbone"], ["^image", "image.0"]])
def test_a_pattern_that_matches_no_free_parameter_is_an_error_that_names_some(patterns):
    grouped = settings(groups=[group(pattern, learning_rate=1.0) for pattern in patterns])
    with pytest.raises(InputError, match=rf"(?s)matches '{re.escape(patterns[-1])}'.*  - .*last.weight"):
        build_optimizer(network(), grouped)


def test_no_weight_decay_on_norm_and_bias_leaves_it_to_matrices_and_kernels():
    model = network()
    decays = by_name(model, build_optimizer(model, settings(no_weight_decay_on_norm_and_bias=True)), "weight_decay")
    assert {name for name, decay in decays.items() if decay} == {"image.0.weight", "image.3.weight", "last.weight"}


def test_a_schedule_multiplies_every_base_rate_and_a_checkpoint_keeps_them():
    grouped = settings(groups=[group("^image", learning_rate=0.3)])
    optimizer = build_optimizer(network(), grouped)
    set_rates(optimizer, 0.5)
    set_rates(optimizer, 0.1)
    assert [made["lr"] for made in optimizer.param_groups] == pytest.approx([0.03, 0.001])
    restored = build_optimizer(network(), grouped)
    restored.load_state_dict(optimizer.state_dict())
    set_rates(restored, 1)
    assert [made["lr"] for made in restored.param_groups] == [0.3, 0.01]


FUSED = [{}, {"name": "adamw"}, {"name": "sgd"}, {"name": "sgd", "momentum": 0}]


def fused(model: nn.Module, **changes) -> torch.optim.Optimizer:
    """Return an optimizer as on a GPU."""
    optimizer = build_optimizer(model, settings(**changes))
    for made in optimizer.param_groups:
        made["fused"] = True
    return optimizer


@pytest.mark.parametrize("changes", FUSED)
def test_the_state_before_the_first_step_is_as_torch_creates_it(changes):
    model, reference = network(), network()
    optimizer, torchs = fused(model, **changes), fused(reference, **changes)
    create_state(optimizer)
    created = optimizer.state_dict()["state"]
    pairs = zip(train(model, optimizer), train(reference, torchs), strict=True)
    assert all(torch.equal(left, right) for left, right in pairs)
    forms = [
        {key: {name: (value.dtype, value.stride()) for name, value in of_one.items()} for key, of_one in state.items()}
        for state in (created, torchs.state_dict()["state"])
    ]
    assert forms[0] == forms[1]


@pytest.mark.parametrize("changes", FUSED)
def test_a_fused_optimizer_goes_on_when_a_backbone_is_released(changes):
    model = network()
    optimizer = fused(model, **changes)
    create_state(optimizer)
    model["image"].requires_grad_(False)
    frozen = model["image"][0].weight.clone()
    train(model, optimizer)
    assert torch.equal(frozen, model["image"][0].weight)
    model["image"].requires_grad_(True)
    train(model, optimizer)
    assert not torch.equal(frozen, model["image"][0].weight)


@pytest.mark.parametrize("to_gpu", [False, True])
def test_a_checkpoint_of_another_kind_of_device_is_loaded_in_the_way_of_this_one(to_gpu):
    model = network()
    on_gpu, on_cpu = fused(model), build_optimizer(model, settings())
    one, other = (on_cpu, on_gpu) if to_gpu else (on_gpu, on_cpu)
    train(model, one)
    load_state(other, one.state_dict())
    assert other.param_groups[0]["fused"] is (True if to_gpu else None)
    train(model, other)


def gradients(*values: list[float] | None) -> list[nn.Parameter]:
    parameters = [nn.Parameter(torch.zeros(len(value or [0]))) for value in values]
    for parameter, value in zip(parameters, values, strict=True):
        parameter.grad = None if value is None else torch.tensor(value)
    return parameters


def test_gradients_with_a_larger_norm_are_scaled_to_it():
    parameters = gradients([3.0, 0.0], None, [4.0])
    assert clip(iter(parameters), 1.0).item() == 5
    assert parameters[0].grad.tolist() == pytest.approx([0.6, 0]) and parameters[2].grad.tolist() == pytest.approx(
        [0.8]
    )


@pytest.mark.parametrize("norm", [None, 6.0])
def test_gradients_with_a_smaller_norm_do_not_change(norm):
    parameters = gradients([3.0], [4.0])
    assert clip(parameters, norm).item() == 5
    assert [parameter.grad.item() for parameter in parameters] == [3, 4]


def test_clipping_is_torchs_to_the_bit():
    model, reference = network(), network()
    for net in (model, reference):
        net["last"](net["image"](torch.ones(8, 3, 8, 8) / 3)).sum().backward()
    expected = torch.nn.utils.clip_grad_norm_(reference.parameters(), 0.1)
    assert torch.equal(clip(model.parameters(), 0.1), expected)
    pairs = zip(model.parameters(), reference.parameters(), strict=True)
    assert all(torch.equal(left.grad, right.grad) for left, right in pairs)


def test_without_any_gradient_the_norm_is_zero():
    assert clip(network().parameters(), 1.0) == 0
