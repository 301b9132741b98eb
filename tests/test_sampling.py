"""Sampling: which images an epoch shows, as a function of seed and epoch alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from melanoma.randomness import derived_seed, uniforms
from melanoma.sampling import batch_slices, epoch_order

NATURAL = {"name": "natural", "ratio": 1.0}
EVEN = {"name": "oversample", "ratio": 1.0}
targets_of = st.lists(st.integers(0, 1), min_size=4, max_size=60).filter(lambda t: 0 < sum(t) < len(t))


@given(targets=targets_of, seed=st.integers(0, 1000), epoch=st.integers(0, 50))
def test_a_natural_epoch_shows_each_image_once(targets, seed, epoch):
    order = epoch_order(np.array(targets), NATURAL, seed, epoch)
    assert sorted(order) == list(range(len(targets)))


@given(targets=targets_of, seed=st.integers(0, 1000), epoch=st.integers(0, 50))
def test_oversampling_shows_every_image_and_both_classes_alike(targets, seed, epoch):
    targets = np.array(targets)
    order = epoch_order(targets, EVEN, seed, epoch)
    assert set(order) == set(range(len(targets)))
    shown = np.bincount(targets[order])
    assert shown[0] == shown[1] == np.bincount(targets).max()
    commoner = np.flatnonzero(targets == np.bincount(targets).argmax())
    assert all((order == index).sum() == 1 for index in commoner) or len(set(np.bincount(targets))) == 1


def test_an_epoch_of_the_published_recipe_is_twice_its_benign_images():
    targets = np.array([1] * 20 + [0] * 980)
    assert len(epoch_order(targets, EVEN, 1, 0)) == 2 * 980


def test_a_ratio_of_a_third_leaves_one_melanoma_for_three_benign():
    targets = np.array([1] * 20 + [0] * 900)
    shown = np.bincount(targets[epoch_order(targets, {"name": "oversample", "ratio": 1 / 3}, 1, 0)])
    assert shown.tolist() == [900, 300]


def test_classes_closer_than_the_ratio_stay_as_they_are():
    targets = np.array([1] * 40 + [0] * 60)
    order = epoch_order(targets, {"name": "oversample", "ratio": 0.5}, 1, 0)
    assert sorted(order) == list(range(100))


def test_every_epoch_repeats_other_melanomas_in_another_order():
    targets = np.array([1] * 10 + [0] * 55)
    first, again, later = (epoch_order(targets, EVEN, 1, epoch) for epoch in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != later).any()
    assert (np.bincount(first)[:10] != np.bincount(later)[:10]).any()


@given(length=st.integers(4, 500), batch_size=st.integers(3, 64))
def test_batches_cover_the_epoch_and_none_is_too_large_or_a_single_image(length, batch_size):
    slices = batch_slices(length, batch_size)
    sizes = [part.stop - part.start for part in slices]
    assert [part.start for part in slices[1:]] == [part.stop for part in slices[:-1]]
    assert slices[0].start == 0 and slices[-1].stop == length
    assert max(sizes) <= batch_size and max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 2


def test_random_numbers_are_even_and_independent_across_streams_and_positions():
    draws = uniforms(1, 0, np.arange(20_000), 5)
    assert draws.min() >= 0 and draws.max() < 1
    np.testing.assert_allclose(draws.mean(axis=0), 0.5, atol=0.01)
    np.testing.assert_allclose(draws.var(axis=0), 1 / 12, atol=0.003)
    assert np.abs(np.corrcoef(draws.T) - np.eye(5)).max() < 0.03
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 0.03


def test_derived_seeds_differ_by_every_part():
    seeds = {derived_seed(a, b, c) for a in range(10) for b in range(10) for c in range(10)}
    assert len(seeds) == 1000
