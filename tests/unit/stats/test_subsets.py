"""Measures of subsets are those of their rows alone, and a difference between subsets is tested with its covariance."""

import numpy as np
import pytest
from scipy.stats import chi2

from melanoma.stats.metrics import Auroc, measured
from melanoma.stats.subsets import Among, equality_test


def test_a_measure_among_all_images_is_that_of_the_members() -> None:
    random = np.random.default_rng(0)
    target, score, members = random.integers(2, size=60), random.random(60), random.random(60) < 0.4
    alone = Auroc(target[members], score[members])
    weight = random.integers(4, size=60)
    assert measured(Among(alone, members), weight) == measured(alone, weight[members])


def test_the_test_of_two_subsets_is_the_square_of_their_difference_in_standard_errors() -> None:
    first, second = np.random.default_rng(1).normal(size=(2, 400))
    replicated = np.stack([0.7 + 0.05 * first, 0.8 + 0.04 * (first + second)])  # correlated, as from shared patients
    test = equality_test(np.array([0.7, 0.8]), replicated, np.array([20, 30]))
    scaled = replicated * np.sqrt([[20 / 19], [30 / 29]])
    expected = 0.1**2 / np.var(scaled[1] - scaled[0])
    assert test is not None
    assert (test.chi2, test.df) == (pytest.approx(expected, abs=1e-9), 1)
    assert test.p == pytest.approx(chi2.sf(expected, 1), abs=1e-9)


def test_a_subset_that_never_varies_beside_another_one_gives_no_test() -> None:
    assert equality_test(np.array([1.0, 1.0]), np.ones((2, 100)), np.array([9, 9])) is None
