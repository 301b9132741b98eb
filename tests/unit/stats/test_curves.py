"""The ROC curve and the precision-recall curve are those of scikit-learn."""

import numpy as np
import pytest
import sklearn.metrics as sklearn_metrics
from hypothesis import given

from labeled_cohort import Labeled, labeled
from melanoma.stats.curves import precision_recall_curve, roc_curve
from melanoma.stats.metrics import auroc, average_precision

TOLERANCE = 1e-12


@given(labeled())
def test_curves_are_those_of_scikit_learn_and_enclose_their_areas(data: Labeled) -> None:
    target, score, _ = data
    curve = roc_curve(target, score)
    for ours, theirs in zip(curve, sklearn_metrics.roc_curve(target, score, drop_intermediate=False), strict=True):
        np.testing.assert_allclose(ours, theirs)
    assert np.trapezoid(curve[1], curve[0]) == pytest.approx(auroc(target, score), abs=TOLERANCE)
    precision, recall, threshold = precision_recall_curve(target, score)
    theirs = sklearn_metrics.precision_recall_curve(target, score)
    np.testing.assert_allclose(precision, theirs[0][-2::-1])
    np.testing.assert_allclose(recall, theirs[1][-2::-1])
    np.testing.assert_allclose(threshold, theirs[2][::-1])
    area = np.sum(np.diff(recall, prepend=0) * precision)
    assert area == pytest.approx(average_precision(target, score), abs=TOLERANCE)
