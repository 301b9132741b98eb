"""Probabilities of a bundle at another prevalence."""

import numpy as np
import pytest

from melanoma.bundle.model import BundledModel


def test_another_prevalence_multiplies_the_odds_and_leaves_certain_answers() -> None:
    corners = [0.0, 0.2, 0.5, 1.0]
    calibrator = {"method": "isotonic", "probability": corners, "calibrated": corners}
    bundle = BundledModel({"calibrator": calibrator, "prevalence": 0.2}, {}, {}, {}, {})
    result = bundle.calibrated(np.array(corners), 0.5).tolist()
    # From .2 to .5 the odds of melanoma become four times as large.
    assert result == pytest.approx([0.0, 0.5, 0.8, 1.0])
    assert (result[0], result[-1]) == (0, 1)
