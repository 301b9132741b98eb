"""Probabilities of a bundle at another prevalence."""

import numpy as np
import pytest

from melanoma.bundle.model import BundledModel


def test_another_prevalence_multiplies_the_odds_and_leaves_certain_answers() -> None:
    about = {"calibrator": None, "prevalence": 0.2}
    result = BundledModel(about, {}, {}, {}, {}).calibrated(np.array([0.0, 0.2, 0.5, 1.0]), 0.5).tolist()
    # From .2 to .5 the odds of melanoma become four times as large.
    assert result == pytest.approx([0.0, 0.5, 0.8, 1.0])
    assert (result[0], result[-1]) == (0, 1)
