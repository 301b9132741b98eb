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
        average.add(moved(model, step), average.share(step))
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
    average.add(model, average.share(1))
    assert average.module.weight.item() == pytest.approx(1 - 2 / 11)


def test_an_average_restored_from_a_file_continues_to_the_same_bits():
    model, average = network(), WeightAverage(network(), 0.9)
    for step in (1, 2):
        average.add(moved(model, step), average.share(step))
    file = io.BytesIO()
    torch.save(average.state_dict(), file)
    file.seek(0)
    restored = WeightAverage(network(), 0.9)
    restored.load_state_dict(torch.load(file, weights_only=True))
    moved(model, 3)
    for each in (average, restored):
        each.add(model, each.share(3))
    assert same(copied(average.module), copied(restored.module))


def test_the_average_shares_no_memory_with_the_network_and_has_its_layout():
    model = network().to(memory_format=torch.channels_last)
    average = WeightAverage(model, 0.9)
    own = {tensor.data_ptr() for tensor in model.state_dict().values()}
    assert own.isdisjoint(tensor.data_ptr() for tensor in average.state_dict().values())
    assert average.module[0].weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("share", [1e-4, torch.tensor(1e-4)])
def test_indices_and_counts_are_those_of_the_network(share):
    """A mean of equal integers may be rounded down: .9999 * 5 + .0001 * 5 is less than 5 in float32."""
    model = network()
    model.register_buffer("index", torch.arange(200))
    average = WeightAverage(model, 0.9999)
    average.add(moved(model, 1), share)
    assert torch.equal(average.module.index, torch.arange(200))
    assert average.module[1].num_batches_tracked == 1 and average.n_averaged == 1


def test_a_share_on_the_device_gives_the_bits_of_a_number():
    model = network()
    averages = [WeightAverage(model, 0.9) for _ in range(2)]
    for step in range(1, 12):
        moved(model, step)
        share = averages[0].share(step)
        averages[0].add(model, share)
        averages[1].add(model, torch.tensor(share))
    assert same(*(copied(average.module) for average in averages))


def test_the_whole_average_is_on_the_device_of_the_network():
    """A GPU that repeats a recorded step changes nothing on the host."""
    average = WeightAverage(network().to("meta"), 0.9)
    assert {tensor.device.type for tensor in average.state_dict().values()} == {"meta"}
