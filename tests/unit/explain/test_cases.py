"""The cases of a gallery: the most confident errors first, and few right answers."""

import numpy as np
import pandas as pd

from melanoma.explain.cases import ERRORS, KINDS, RIGHT, choose_cases


def labeled(probability: list[float], target: list[int]) -> pd.DataFrame:
    names = [f"i{number:03d}" for number in range(len(target))]
    return pd.DataFrame({"image": names, "target": target, "probability": probability})


def test_the_worst_errors_come_first():
    cases = choose_cases(labeled([0.4, 0.1, 0.6, 0.9, 0.8, 0.2], [1, 1, 0, 0, 1, 0]), 0.5)
    assert cases["image"].tolist() == ["i001", "i000", "i003", "i002", "i004", "i005"]
    assert cases["kind"].tolist() == [KINDS[0]] * 2 + [KINDS[1]] * 2 + [KINDS[2], KINDS[3]]


def test_each_kind_has_a_limit_and_equal_images_are_in_the_order_of_their_names():
    cases = choose_cases(labeled([0.5, 0.1] * 40, [0, 1, 1, 0] * 20), 0.5)
    assert cases["kind"].value_counts(sort=False).tolist() == [ERRORS, ERRORS, RIGHT, RIGHT]
    assert all(images["image"].is_monotonic_increasing for _, images in cases.groupby("kind"))


def test_a_probability_at_the_threshold_says_melanoma():
    assert choose_cases(labeled([0.5], [1]), 0.5)["kind"].tolist() == ["found melanoma"]


def test_a_model_without_errors_has_no_errors():
    assert set(choose_cases(labeled(np.arange(10) / 10, [0] * 5 + [1] * 5), 0.5)["kind"]) == set(KINDS[2:])
