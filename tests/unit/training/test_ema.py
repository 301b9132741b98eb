"""The mean of the weights: its closed form, what it averages and copies, and the swap, which leaves no trace."""

import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from melanoma.training.ema import WeightAverage


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def moved(model: nn.Module, seed: int) -> nn.Module:
    """Change all of `model` as a training step would: weights, running statistics and the count of batches."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += torch.randn(parameter.shape, generator=generator)
    model.train()(torch.randn(8, 3, 3, 3, generator=generator))
    return model


def copied(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@settings(max_examples=15)
@given(decay=st.floats(0.01, 0.9999), steps=st.integers(1, 8))
def test_it_is_the_mean_of_all_steps_weighted_by_what_later_ones_have_kept(decay, steps):
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
    for name, mean in average.state_dict().items():
        if mean.is_floating_point():
            expected = sum(share * then[name].double() for share, then in zip(shares, seen, strict=True))
            torch.testing.assert_close(mean.double(), expected, rtol=1e-5, atol=1e-5)
        else:
            assert torch.equal(mean, seen[-1][name])


def test_parameters_and_buffers_are_averaged_and_counts_are_copied():
    model = network()
    average, start = WeightAverage(model, 0.5), copied(model)
    average.update(moved(model, 1), 100)
    mean = average.state_dict()
    for name in ("0.weight", "1.running_mean", "1.running_var"):
        torch.testing.assert_close(mean[name], (start[name] + model.state_dict()[name]) / 2)
    assert mean["1.num_batches_tracked"] == 1


def test_weights_that_stay_have_themselves_as_mean_to_the_bit():
    model = network()
    average = WeightAverage(model, 0.999)
    for step in range(1, 50):
        average.update(model, step)
    assert same(average.state_dict(), copied(model))


def test_the_first_steps_forget_the_start_sooner_than_the_decay_would():
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = WeightAverage(model, 0.9999)
    nn.init.ones_(model.weight)
    average.update(model, 1)
    assert average.state_dict()["weight"].item() == pytest.approx(1 - 2 / 11)


def test_the_average_is_swapped_in_and_the_networks_own_weights_come_back_to_the_bit():
    model = network()
    average = WeightAverage(model, 0.9)
    average.update(moved(model, 1), 1)
    own, mean, places = copied(model), average.state_dict(), [p.data_ptr() for p in model.parameters()]
    mean = {name: tensor.clone() for name, tensor in mean.items()}
    with average.swapped_in(model):
        assert same(copied(model), mean) and same(average.state_dict(), mean)
        moved(model, 2)
    assert same(copied(model), own) and same(average.state_dict(), mean)
    assert [p.data_ptr() for p in model.parameters()] == places


def test_own_weights_come_back_also_after_an_error():
    model = network()
    average = WeightAverage(model, 0.9)
    own = copied(moved(model, 1))
    with pytest.raises(KeyboardInterrupt), average.swapped_in(model):
        raise KeyboardInterrupt
    assert same(copied(model), own)


def test_an_average_saved_and_restored_goes_on_to_the_same_bits():
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
    assert same(average.state_dict(), restored.state_dict())


def test_weights_under_two_names_are_one_and_survive_the_swap():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    average = WeightAverage(model, 0.9)
    with torch.no_grad():
        model[0].weight += 1
    own = copied(model)
    with average.swapped_in(model):
        assert torch.equal(model[0].weight, average.state_dict()["0.weight"])
    assert same(copied(model), own)


def test_it_keeps_no_gradients_and_shares_no_memory_and_leaves_training_as_it_was():
    model, alone = network(), network()
    average = WeightAverage(model, 0.9)
    for net in (model, alone):
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for step in range(1, 4):
            optimizer.zero_grad()
            net(torch.ones(2, 3, 3, 3)).sum().backward()
            optimizer.step()
            if net is model:
                average.update(model, step)
                with average.swapped_in(model):
                    pass
    assert same(copied(model), copied(alone))
    own = {tensor.data_ptr() for tensor in model.state_dict().values()}
    for tensor in average.state_dict().values():
        assert not tensor.requires_grad and tensor.data_ptr() not in own


def test_the_layout_in_memory_is_kept():
    model = network().to(memory_format=torch.channels_last)
    weight = WeightAverage(model, 0.9).state_dict()["0.weight"]
    assert weight.is_contiguous(memory_format=torch.channels_last)
