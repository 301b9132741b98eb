"""Mixup and cutmix against the same sums one by one; drawn from (seed, step) alone."""

import functools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tiny
from melanoma.augment.mix import mix

COUNT, SIDE = 6, 16
# Several tests run at once, and torch's threads wait for one another.
torch.set_num_threads(1)


@functools.cache
def settings(kind="none", probability=1.0, alpha=1.0):
    return tiny.augmentation(**({} if kind == "none" else {kind: {"probability": probability, "alpha": alpha}}))


def batch(count=COUNT):
    """Return images that are told apart by every one of their pixels, and targets as far apart."""
    images = (torch.arange(count).float() + 1)[:, None, None, None] * torch.ones(1, 3, SIDE, SIDE)
    return images, 10.0 ** torch.arange(count)


@pytest.mark.parametrize("step", range(8))
def test_mixup_blends_images_and_targets_with_the_same_share_of_the_same_partner(step):
    """Image i is white at pixel i and black elsewhere, so that pixel j of a result is the weight of image j in it."""
    images = torch.eye(COUNT).repeat(3, 1, 1).permute(1, 0, 2).unflatten(2, (2, 3))
    targets = torch.rand(COUNT)
    mixed, soft = mix(images, targets, settings("mixup"), 1, step)
    weights = mixed[:, 0].flatten(1)
    moved = [index for index in range(COUNT) if weights[index, index] < 1 - 1e-6]
    share = weights[moved[0], moved[0]]
    partners = (weights - share * torch.eye(COUNT)) / (1 - share)
    assert torch.equal(partners.round(), partners.round().clamp(0, 1))
    torch.testing.assert_close(partners, partners.round())
    torch.testing.assert_close(partners.sum(0), torch.ones(COUNT))
    torch.testing.assert_close(partners.sum(1), torch.ones(COUNT))
    torch.testing.assert_close(soft, weights @ targets)


@pytest.mark.parametrize("step", range(8))
def test_cutmix_puts_one_rectangle_of_the_partner_in_and_shares_the_target_by_area(step):
    images, targets = batch()
    mixed, soft = mix(images, targets, settings("cutmix"), 1, step)
    inside = (mixed != images).all(dim=1)
    partners = [(mixed[index][:, inside[index]].unique().tolist() or [index + 1.0]) for index in range(COUNT)]
    assert all(len(values) == 1 for values in partners)
    partners = [int(values[0]) - 1 for values in partners]
    assert sorted(partners) == list(range(COUNT))
    moved = [index for index in range(COUNT) if partners[index] != index]
    for index in moved:
        assert torch.equal(inside[index], inside[moved[0]])
        rows, columns = torch.nonzero(inside[index], as_tuple=True)
        assert len(rows) == len(rows.unique()) * len(columns.unique())
        share = 1 - inside[index].float().mean()
        torch.testing.assert_close(soft[index], share * targets[index] + (1 - share) * targets[partners[index]])


@given(seed=st.integers(0, 2**31), step=st.integers(0, 10**6), kind=st.sampled_from(["mixup", "cutmix"]))
def test_the_mixture_is_a_function_of_seed_and_step_and_keeps_the_sum_of_the_targets(seed, step, kind):
    images, targets = torch.rand(5, 3, 8, 8), torch.rand(5)
    first, second = (mix(images, targets, settings(kind, 0.7), seed, step) for _ in range(2))
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])
    torch.testing.assert_close(first[1].sum(), targets.sum())
    assert first[0].shape == images.shape and first[0].dtype == torch.float32 and first[1].dtype == torch.float32


def test_a_batch_is_mixed_as_often_as_its_probability_says_and_by_mixup_first():
    images, targets = batch()
    both = settings("mixup", 0.3, 5.0) | {"cutmix": {"probability": 0.5, "alpha": 5.0}}
    kinds = {"none": 0, "mixup": 0, "cutmix": 0}
    for step in range(2000):
        mixed, _ = mix(images, targets, both, 1, step)
        whole = set(mixed.flatten().tolist()) <= set(range(1, COUNT + 1))
        kinds["none" if mixed is images else "cutmix" if whole else "mixup"] += 1
    shares = {kind: count / 2000 for kind, count in kinds.items()}
    assert shares["mixup"] == pytest.approx(0.3, abs=0.04)
    assert shares["cutmix"] == pytest.approx(0.7 * 0.5, abs=0.04)


def test_without_mixing_the_batch_is_returned_as_it_is():
    images, targets = batch()
    mixed, soft = mix(images, targets, settings(), 1, 3)
    assert mixed is images and soft is targets


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixing_leaves_what_it_was_given_alone_and_keeps_channels_last(kind):
    images = torch.rand(4, 3, 8, 8).to(memory_format=torch.channels_last)
    before = images.clone()
    mixed, _ = mix(images, torch.rand(4), settings(kind), 1, 0)
    assert torch.equal(images, before) and not torch.equal(mixed, before)
    assert mixed.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_the_share_has_the_variance_of_its_beta_distribution(alpha):
    images, targets = torch.zeros(2, 3, 2, 2), torch.tensor([0.0, 1.0])
    blended = [mix(images, targets, settings("mixup", alpha=alpha), 1, step)[1][1].item() for step in range(4000)]
    # Half of the permutations of two leave each its own partner, whose target stays 1.
    shares = np.array([value for value in blended if value < 1 - 1e-7])
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.15)
