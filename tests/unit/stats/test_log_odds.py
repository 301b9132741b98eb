"""Log-odds of probabilities, finite at 0 and 1."""

import numpy as np
from scipy.special import expit

from melanoma.stats.log_odds import EPSILON, clipped, logit


def test_the_logit_is_the_inverse_of_the_sigmoid() -> None:
    np.testing.assert_allclose(expit(logit([0.001, 0.5, 0.9])), [0.001, 0.5, 0.9], rtol=1e-14)


def test_a_probability_of_0_or_1_has_a_finite_logit() -> None:
    assert clipped([0, 0.5, 1]).tolist() == [EPSILON, 0.5, 1 - EPSILON]
    np.testing.assert_allclose(logit([0, 1]), [-36.04, 36.04], atol=0.01)
