"""DeLong's test and variance are those of published packages and of their definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import rankdata

from labeled_cohort import Labeled, labeled, pairs_auroc, rounded_scores
from melanoma.stats.delong import average_ranks, delong_covariance, delong_test


def test_delongs_paired_test_is_that_of_mlstatkit_and_pauc() -> None:
    """The values are those of MLstatkit 0.1.91; pauc 0.2.2 has z 2.2989511980271735 and p 0.021507710662700408."""
    made = delong_test(*rounded_scores())
    assert made.difference == pytest.approx(0.6976992409867173 - 0.6329459203036053, abs=1e-9)
    assert made.standard_error**2 == pytest.approx(0.0007933495601327735, abs=1e-12)
    for z, p in ((2.298951198027177, 0.021507710662700113), (2.2989511980271735, 0.021507710662700408)):
        assert made.z == pytest.approx(z, abs=1e-9)
        assert made.p == pytest.approx(p, abs=1e-9)


def test_delongs_variance_is_that_of_confidenceinterval_and_pauc() -> None:
    """The values are those of pauc 0.2.2, then, computed in single precision, of confidenceinterval 1.0.5."""
    target, first, second = rounded_scores()
    areas, covariance = delong_covariance(target, [first, second])
    assert areas == pytest.approx([pairs_auroc(target, first), pairs_auroc(target, second)], abs=1e-12)
    pauc = [[0.0007112309800933522, 0.0003662614308713463], [0.0003662614308713463, 0.000814641441782114]]
    np.testing.assert_allclose(covariance, pauc, rtol=0, atol=1e-12)
    single = [0.0007112309909759957, 0.0008146414412209821]
    np.testing.assert_allclose(np.diag(covariance), single, rtol=0, atol=1e-9)


def structural_covariance(target: np.ndarray, scores: list[np.ndarray]) -> np.ndarray:
    """Compute DeLong's covariance from all pairs of images, as his paper defines it."""
    won = [(s[target == 1][:, None] > s[target == 0]) + (s[target == 1][:, None] == s[target == 0]) / 2 for s in scores]
    melanomas, benign = (np.array([pair.mean(axis=axis) for pair in won]) for axis in (1, 0))
    return np.cov(melanomas) / melanomas.shape[1] + np.cov(benign) / benign.shape[1]


@given(labeled(), st.integers(0, 99))
def test_delongs_covariance_is_its_definition(data: Labeled, seed: int) -> None:
    target = np.concatenate([data[0], [0, 1]])
    scores = [np.concatenate([data[1], [0.5, 0.5]]), np.random.default_rng(seed).integers(0, 5, len(target)) / 5]
    _, covariance = delong_covariance(target, scores)
    np.testing.assert_allclose(covariance, structural_covariance(target, scores), rtol=0, atol=1e-12)


@given(arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(0, 12)), elements=st.floats(allow_nan=False)))
def test_average_ranks_are_those_of_scipy_to_the_bit(scores: np.ndarray) -> None:
    assert average_ranks(scores).tobytes() == rankdata(scores, axis=1).tobytes()


@given(arrays(np.float64, (2, 12), elements=st.integers(0, 4)))
def test_tied_scores_share_the_ranks_of_scipy_to_the_bit(scores: np.ndarray) -> None:
    assert average_ranks(scores).tobytes() == rankdata(scores, axis=1).tobytes()
