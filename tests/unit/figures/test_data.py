"""Figures of the data count images and patients, and draw samples by seed."""

import numpy as np
import pandas as pd

from melanoma.figures.data import balance, choose_samples


def test_balance_counts_images_and_patients_of_folds_extra_training_images_and_test() -> None:
    train = pd.DataFrame(
        {"patient": ["p", "p", "q", "r", "s"], "fold": [0, 0, 0, 1, -1], "target": [0, 1, 0, 0, 1]},
    )
    test = {"images": 7, "melanomas": 2, "patients": 5, "melanoma_patients": 1}
    counts = balance(train, test)
    assert set(counts.index[:-1]) == {"fold 0", "fold 1", "extra_train"} and counts.index[-1] == "test"
    assert counts.loc["fold 0"].tolist() == [2, 1, 1, 1]
    assert counts.loc["fold 1"].tolist() == [1, 0, 1, 0]
    assert counts.loc["extra_train"].tolist() == [0, 1, 0, 1]
    assert counts.loc["test"].tolist() == [5, 2, 4, 1]


def test_samples_are_drawn_from_their_class_by_seed() -> None:
    train = pd.DataFrame({"row": np.arange(100, 200), "target": [0, 1] * 50})
    rows = choose_samples(train, 1, 16, seed=1)
    assert len(set(rows)) == 16
    assert all(row % 2 == 1 for row in rows)
    assert rows == choose_samples(train.sample(frac=1, random_state=0), 1, 16, seed=1)
    assert rows != choose_samples(train, 1, 16, seed=2)
    assert len(choose_samples(train, 0, 1000, seed=1)) == 50
