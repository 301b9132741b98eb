"""Sampling: the images of an epoch depend on seed and epoch alone."""

import hashlib
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.config.optimization import Loss, Sampling
from melanoma.config.recipe import Recipe
from melanoma.stats.log_odds import logit
from melanoma.training.sampling import batch_slices, epoch_counts, epoch_order, trained_prevalence

NONE = Sampling(name="none")
EVEN = Sampling(name="oversample")
THIRD = Sampling(name="oversample", ratio=1 / 3)
HALF = Sampling(name="oversample", ratio=0.5)
BALANCED = Sampling(name="balanced")
BOOTSTRAP = Sampling(name="bootstrap")
BCE = Loss(name="bce")
WEIGHTED = Loss(name="weighted_bce")
samplings = st.builds(
    Sampling, name=st.sampled_from(["none", "oversample", "balanced", "bootstrap"]), ratio=st.floats(0.1, 1)
)
losses = st.builds(
    Loss, name=st.sampled_from(["bce", "weighted_bce", "focal"]), positive_weight=st.none() | st.floats(0.1, 50)
)
targets_of = st.lists(st.integers(0, 1), min_size=4, max_size=60).filter(lambda t: 0 < sum(t) < len(t))


@given(targets=targets_of, seed=st.integers(0, 1000), epoch=st.integers(0, 50))
def test_an_epoch_without_resampling_shows_each_image_once(targets, seed, epoch):
    order = epoch_order(np.array(targets), NONE, seed, epoch)
    assert sorted(order) == list(range(len(targets)))


@given(targets=targets_of, seed=st.integers(0, 1000), epoch=st.integers(0, 50))
def test_oversampling_shows_every_image_and_both_classes_equally_often(targets, seed, epoch):
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
    shown = np.bincount(targets[epoch_order(targets, THIRD, 1, 0)])
    assert shown.tolist() == [900, 300]


def test_classes_closer_than_the_ratio_stay_as_they_are():
    targets = np.array([1] * 40 + [0] * 60)
    order = epoch_order(targets, HALF, 1, 0)
    assert sorted(order) == list(range(100))


def test_classes_less_than_an_image_from_the_ratio_stay_as_they_are():
    order = epoch_order(np.array([0, 0, 0, 1]), HALF, 1, 0)
    assert sorted(order) == [0, 1, 2, 3]


def test_every_epoch_repeats_other_melanomas_in_another_order():
    targets = np.array([1] * 10 + [0] * 55)
    first, again, later = (epoch_order(targets, EVEN, 1, epoch) for epoch in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != later).any()
    assert (np.bincount(first)[:10] != np.bincount(later)[:10]).any()


def test_plain_and_oversampled_epochs_have_the_recorded_bits():
    """So that a training begun by an earlier version can be repeated: random_state and generator are never changed."""
    targets = np.array([1] * 7 + [0] * 33)
    found = [hashlib.sha256(epoch_order(targets, settings, 5, 2)).hexdigest()[:16] for settings in (NONE, EVEN)]
    assert found == ["2eaa14bcf6a960aa", "1a4a49faeaf165dc"]


@given(targets=targets_of, seed=st.integers(0, 1000), epoch=st.integers(0, 50))
def test_a_balanced_epoch_draws_as_many_images_as_there_are(targets, seed, epoch):
    order = epoch_order(np.array(targets), BALANCED, seed, epoch)
    assert len(order) == len(targets) and set(order) <= set(range(len(targets)))


def test_a_balanced_epoch_draws_both_classes_and_all_images_of_a_class_equally_often():
    targets = np.array([1] * 4 + [0] * 96)
    shown = np.concatenate([epoch_order(targets, BALANCED, 1, epoch) for epoch in range(2000)])
    shares = np.bincount(shown, minlength=100) / len(shown)
    np.testing.assert_allclose(shares[:4], 0.5 / 4, rtol=0.03)
    np.testing.assert_allclose(shares[4:], 0.5 / 96, rtol=0.15)
    assert targets[shown].mean() == pytest.approx(0.5, abs=0.005)


def test_a_bootstrap_epoch_draws_as_many_images_and_every_image_equally_often():
    targets = np.array([1] * 4 + [0] * 96)
    epochs = [epoch_order(targets, BOOTSTRAP, 1, epoch) for epoch in range(2000)]
    assert {len(order) for order in epochs} == {100}
    assert np.mean([len(set(order)) for order in epochs]) == pytest.approx(100 * (1 - 0.99**100), rel=0.01)
    np.testing.assert_allclose(np.bincount(np.concatenate(epochs)), 2000, rtol=0.15)


def test_draws_are_a_function_of_seed_and_epoch():
    targets = np.array([1] * 10 + [0] * 55)
    first, again, later, other = (
        epoch_order(targets, BALANCED, seed, epoch).tolist() for seed, epoch in ((1, 0), (1, 0), (1, 1), (2, 0))
    )
    assert first == again and first != later and first != other


@given(targets=targets_of, sampling=samplings)
def test_without_weights_the_trained_prevalence_is_the_mean_share_of_melanomas_in_epochs(targets, sampling):
    targets = np.array(targets)
    epochs = 200 if sampling.name in ("balanced", "bootstrap") else 1
    shown = np.concatenate([epoch_order(targets, sampling, 1, epoch) for epoch in range(epochs)])
    rounding = 1 / len(targets) if sampling.name == "oversample" else 0.06
    assert trained_prevalence(targets, sampling, BCE) == pytest.approx(targets[shown].mean(), abs=rounding)


def test_trained_prevalences_of_a_sample_with_one_melanoma_in_fifty():
    targets = np.array([1] * 20 + [0] * 980)
    assert trained_prevalence(targets, NONE, BCE) == pytest.approx(0.02)
    assert trained_prevalence(targets, THIRD, BCE) == pytest.approx(0.25)
    for settings in (EVEN, BALANCED):
        assert trained_prevalence(targets, settings, BCE) == 0.5
    assert trained_prevalence(targets, NONE, WEIGHTED) == pytest.approx(0.5)
    assert trained_prevalence(targets, EVEN, WEIGHTED) == pytest.approx(49 / 50)
    assert trained_prevalence(targets, THIRD, Loss(name="weighted_bce", positive_weight=3)) == pytest.approx(0.5)
    assert trained_prevalence(targets, NONE, Loss(name="focal", positive_weight=9)) == pytest.approx(0.02)


@given(targets=targets_of, loss=losses.filter(lambda loss: loss.name != "weighted_bce"))
def test_without_resampling_the_trained_prevalence_is_that_of_the_data(targets, loss):
    assert trained_prevalence(np.array(targets), NONE, loss) == pytest.approx(np.mean(targets))


@given(
    counts=st.tuples(*[st.integers(1, 40)] * 4),
    sampling=samplings,
    loss=losses.filter(lambda loss: loss.name != "focal"),
)
def test_the_best_model_of_an_epoch_is_that_of_the_data_after_a_shift_of_its_logits(counts, sampling, loss):
    """By brute force, of a feature with two values: the share of melanomas at each is all there is to learn."""
    targets, feature = np.repeat([0, 0, 1, 1], counts), np.repeat([0, 1, 0, 1], counts)
    weight = loss.positive_weight or (1 - targets.mean()) / targets.mean()
    weight = weight if loss.name == "weighted_bce" else 1
    shown = trained_prevalence(targets, sampling, BCE) / targets.mean()
    kept = (1 - trained_prevalence(targets, sampling, BCE)) / (1 - targets.mean())
    for value in (0, 1):
        benign, melanoma = np.bincount(targets[feature == value], minlength=2)
        learned = log(melanoma * shown * weight) - log(benign * kept)
        shift = logit(targets.mean()) - logit(trained_prevalence(targets, sampling, loss))
        assert learned + shift == pytest.approx(log(melanoma / benign))


@given(targets=targets_of, sampling=samplings)
def test_epoch_counts_have_distinct_images_and_repeats(targets, sampling):
    targets = np.array(targets)
    order = epoch_order(targets, sampling, seed=3, epoch=0)
    counts = epoch_counts(targets, Recipe(network="baseline_cnn", sampling=sampling, seed=3))
    assert sum(counts.values()) == len(order)
    assert counts["melanoma"] == len({index for index in order if targets[index]})
    assert counts["benign"] + counts["benign_again"] == sum(targets[order] == 0)


@given(length=st.integers(4, 500), batch_size=st.integers(3, 64))
def test_batches_cover_the_epoch_and_none_is_too_large_or_a_single_image(length, batch_size):
    slices = batch_slices(length, batch_size)
    sizes = [part.stop - part.start for part in slices]
    assert [part.start for part in slices[1:]] == [part.stop for part in slices[:-1]]
    assert slices[0].start == 0 and slices[-1].stop == length
    assert max(sizes) <= batch_size and max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 2
