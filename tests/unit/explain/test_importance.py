"""Permutation importance: a column that decides counts, and one that says nothing does not."""

import numpy as np
import pandas as pd

from melanoma.explain.importance import column_importance


def test_the_column_that_decides_is_the_first_and_an_unread_one_counts_nothing():
    draw = np.random.default_rng(0)
    target = draw.integers(0, 2, 300)
    sex = pd.Series(draw.choice(["male", "female"], 300), dtype="str")
    table = pd.DataFrame({"sex": sex, "site": "torso", "age": target + draw.normal(0, 0.3, 300)})

    def probability(rows: pd.DataFrame) -> np.ndarray:
        return rows["age"].to_numpy() + 0.2 * (rows["sex"] == "male").to_numpy()

    first, second, third = column_importance(probability, table, ["sex", "site", "age"], target)
    assert first["column"] == "age" and 0.35 < first["mean"] < 0.6 and 0 < first["deviation"] < 0.1
    assert abs(second["mean"]) < 0.05 and {second["column"], third["column"]} == {"sex", "site"}
    assert {"column": "site", "mean": 0.0, "deviation": 0.0} in (second, third)
