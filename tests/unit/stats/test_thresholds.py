"""Each threshold is the best one by its rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeled_cohort import Labeled, labeled
from melanoma.stats.metrics import confusion
from melanoma.stats.thresholds import choose_thresholds


@given(labeled(), st.sampled_from([0.5, 0.8, 1.0]))
def test_no_other_threshold_is_better_by_its_rule(data: Labeled, sensitivity: float) -> None:
    target, score, _ = data
    chosen = choose_thresholds(target, score, sensitivity)
    every = [(threshold, confusion(target, score, threshold)) for threshold in sorted(set(score), reverse=True)]
    criteria = {
        "g_mean": lambda cells: cells.g_mean,
        "youden": lambda cells: cells.sensitivity + cells.specificity - 1,
        "f2": lambda cells: cells.f2,
    }
    for rule, criterion in criteria.items():
        assert criterion(confusion(target, score, chosen[rule])) == pytest.approx(
            max(criterion(cells) for _, cells in every)
        )
    kept = [threshold for threshold, cells in every if cells.sensitivity >= sensitivity]
    assert chosen[f"sensitivity_{100 * sensitivity:g}"] == kept[0]
