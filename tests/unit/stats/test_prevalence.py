"""Metrics at a stated prevalence are those of other programs, and those of the images at their own prevalence."""

import numpy as np
import pytest
from hypothesis import given

from labeled_cohort import Labeled, labeled
from melanoma.stats.log_odds import sigmoid
from melanoma.stats.metrics import NetBenefit, Outcomes, Ranking, measured
from melanoma.stats.prevalence import NetBenefitAt, OutcomesAt, RankingAt

# The cohort below at a prevalence of .02. Net benefit: dcurves 1.1.7, dca(..., prevalence=.02). Average precision:
# scikit-learn 1.9.1, average_precision_score with the weights .02 / n1 and .98 / n0. Predictive values: from the sums
# of these weights in the four cells.
NET_BENEFIT = {"0.05": -0.02087792094343743, "0.1": -0.04263434684420689, "0.3": -0.06878613123285744}
AVERAGE_PRECISION = 0.10124494712051113
PPV, NPV = 0.04829175433323314, 0.9848915160368853


def cohort() -> tuple[np.ndarray, np.ndarray]:
    """Return labels and over-confident probabilities of 600 images."""
    generator = np.random.default_rng(17)
    value = -1.5 + 1.2 * generator.normal(size=600)
    target = (generator.random(600) < sigmoid(value)).astype(int)
    return target, sigmoid(1.5 * value + 0.1 * value**2 + 0.3)


def test_each_metric_is_that_of_another_program() -> None:
    thresholds = list(map(float, NET_BENEFIT))
    assert measured(NetBenefitAt(*cohort(), thresholds, 0.02)) == pytest.approx(NET_BENEFIT, abs=1e-9)
    assert measured(RankingAt(*cohort(), 0.02))["average_precision"] == pytest.approx(AVERAGE_PRECISION, abs=1e-9)
    assert measured(OutcomesAt(*cohort(), 0.4, 0.02)) == pytest.approx({"ppv": PPV, "npv": NPV}, abs=1e-9)


@given(labeled())
def test_at_their_own_prevalence_images_have_the_metrics_without_one(data: Labeled) -> None:
    target, score, weight = data
    own = float(np.average(target, weights=weight))
    pairs = (
        (RankingAt(target, score, own), Ranking(target, score)),
        (OutcomesAt(target, score, 0.5, own), Outcomes(target, score, 0.5)),
        (NetBenefitAt(target, score, [0.1, 0.5], own), NetBenefit(target, score, [0.1, 0.5])),
    )
    for at, plain in pairs:
        values = measured(plain, weight)
        for name, value in measured(at, weight).items():
            np.testing.assert_allclose(value, values[name], rtol=0, atol=1e-12)
