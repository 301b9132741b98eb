"""The moving average of the weights: its closed form, its warm-up, and how it goes on after a checkpoint."""

import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from melanoma.training.optimizer import WeightAverage


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def moved(model: nn.Module, seed: int) -> nn.Module:
    """Change all of `model` as a training step would: weights and running statistics."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += torch.randn(parameter.shape, generator=generator)
    model.train()(torch.randn(8, 3, 3, 3, generator=generator))
    return model


def copied(model: nn.Module) -> dict[str, torch.Tensor]:
    """Copy all weights and statistics but the counts of batches, which no network reads."""
    return {name: tensor.clone() for name, tensor in model.state_dict().items() if tensor.is_floating_point()}


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@settings(max_examples=15)
@given(decay=st.floats(0.01, 0.9999), steps=st.integers(1, 8))
def test_the_average_is_the_weighted_mean_of_all_steps(decay, steps):
    """By brute force in float64: the share of a step's weights is its own times what each later step kept."""
    model = network()
    average, seen = WeightAverage(model, decay), [copied(model)]
    for step in range(1, steps + 1):
        average.update(moved(model, step), step)
        seen.append(copied(model))
    kept = [0.0] + [min(decay, (1 + step) / (10 + step)) for step in range(1, steps + 1)]
    shares = [
        (1 - kept[step]) * torch.tensor(kept[step + 1 :], dtype=torch.float64).prod().item()
        for step in range(steps + 1)
    ]
    assert sum(shares) == pytest.approx(1)
    for name, mean in copied(average.module).items():
        expected = sum(share * then[name].double() for share, then in zip(shares, seen, strict=True))
        torch.testing.assert_close(mean.double(), expected, rtol=1e-5, atol=1e-5)


def test_the_decay_is_smaller_in_the_first_steps():
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = WeightAverage(model, 0.9999)
    nn.init.ones_(model.weight)
    average.update(model, 1)
    assert average.module.weight.item() == pytest.approx(1 - 2 / 11)


def test_an_average_restored_from_a_file_continues_to_the_same_bits():
    model, average = network(), WeightAverage(network(), 0.9)
    for step in (1, 2):
        average.update(moved(model, step), step)
    file = io.BytesIO()
    torch.save(average.state_dict(), file)
    file.seek(0)
    restored = WeightAverage(network(), 0.9)
    restored.load_state_dict(torch.load(file, weights_only=True))
    moved(model, 3)
    for each in (average, restored):
        each.update(model, 3)
    assert same(copied(average.module), copied(restored.module))


def test_the_average_shares_no_memory_with_the_network_and_has_its_layout():
    model = network().to(memory_format=torch.channels_last)
    average = WeightAverage(model, 0.9)
    own = {tensor.data_ptr() for tensor in model.state_dict().values()}
    assert own.isdisjoint(tensor.data_ptr() for tensor in average.state_dict().values())
    assert average.module[0].weight.is_contiguous(memory_format=torch.channels_last)
