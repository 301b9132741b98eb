"""The images that two splits have in common are counted part by part, with what chance would give."""

import numpy as np
import pandas as pd

from melanoma.split.overlap import overlap


def saved(names: list[str], folds: list[int]) -> pd.DataFrame:
    fold = np.array(folds)
    return pd.DataFrame({"image": names, "part": np.where(fold < 0, "test", "train"), "fold": fold})


def test_the_parts_of_two_splits_are_compared_on_the_images_of_both() -> None:
    first = saved(["a", "b", "c", "d", "only here"], [-1, -1, 0, 1, -1])
    second = saved(["d", "c", "b", "a", "only there"], [1, 1, 0, -1, -1])
    table = overlap(first, second).set_index("part")
    assert table.loc["all"].tolist() == [4, 4, 4, 4.0]
    assert table.loc["test"].tolist() == [2, 1, 1, 2 * 1 / 4]
    assert table.loc["train"].tolist() == [2, 3, 2, 2 * 3 / 4]
    assert table.loc["fold 0"].tolist() == [1, 1, 0, 1 / 4]
    assert table.loc["fold 1"].tolist() == [1, 2, 1, 2 / 4]
    assert table.loc["test of the first in train of the second", "common"] == 1
    assert table.loc["train of the first in test of the second", "common"] == 0


def test_studies_without_common_images_have_nothing_in_common() -> None:
    table = overlap(saved(["a"], [-1]), saved(["b"], [0]))
    assert table["common"].eq(0).all() and table["expected"].eq(0).all()
