"""Groups of units are divided so that each part gets both classes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from melanoma.split.balanced_cuts import assign
from melanoma.split.strata import Strata


@given(
    rare=st.lists(st.integers(1, 9), min_size=6, max_size=12),
    common=st.lists(st.integers(1, 60), min_size=6, max_size=12),
)
def test_equal_parts_all_get_a_class_that_has_a_group_for_each(rare: list[int], common: list[int]) -> None:
    rares, commons = np.array([[size, 0] for size in rare] + [[0, size] for size in common]).T
    stratum = np.column_stack([np.zeros_like(rares), np.frexp(rares)[1], np.frexp(rares + commons)[1]])
    names = [str(number) for number in range(len(rares))]
    group = np.arange(len(rares))
    parts = assign(names, group, Strata(rares, commons, stratum), [part / 6 for part in range(1, 6)], seed=0)
    for part in range(6):
        assert rares[parts == part].sum() > 0 and commons[parts == part].sum() > 0
