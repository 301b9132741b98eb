"""The best epoch and early stopping depend on the history of a training alone."""

from math import inf, nan

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.training.early_stopping import best_epoch, is_best, stops_early

values = st.lists(st.sampled_from([0.5, 0.6, 0.7, 0.8, nan]), min_size=1, max_size=12)
choices = st.sampled_from(["loss", "auroc"])


def history(found: list[float], choose_by: str = "auroc") -> list[dict[str, float]]:
    return [{"epoch": epoch, f"validation_{choose_by}": value} for epoch, value in enumerate(found, start=1)]


def test_the_best_epoch_is_the_first_of_equals():
    rows = history([0.5, 0.9, 0.9])
    assert best_epoch(pd.DataFrame(rows), "auroc") == 2
    assert is_best(rows[:2], "auroc") and not is_best(rows, "auroc")


def test_with_monitor_last_the_last_epoch_is_the_best():
    rows = history([0.9, 0.5, nan])
    assert best_epoch(pd.DataFrame(rows), "last") == 3
    assert all(is_best(rows[:count], "last") for count in (1, 2, 3)) and not stops_early(rows, "last", 1)


def test_the_best_loss_is_the_smallest():
    rows = history([3, 1, 2], "loss")
    assert best_epoch(pd.DataFrame(rows), "loss") == 2
    assert is_best(rows[:2], "loss") and not is_best(rows, "loss")


def test_an_epoch_with_nan_is_worse_than_any_other():
    assert is_best(history([nan, 0.5]), "auroc") and not is_best(history([0.5, nan]), "auroc")
    assert best_epoch(pd.DataFrame(history([nan, inf, 0.4], "loss")), "loss") == 3


@given(found=values, choose_by=choices)
def test_the_last_epoch_that_was_best_so_far_is_the_best_of_all(found, choose_by):
    rows = history(found, choose_by)
    kept = [row["epoch"] for row in rows if is_best(rows[: row["epoch"]], choose_by)]
    assert kept[0] == 1 and kept[-1] == best_epoch(pd.DataFrame(rows), choose_by)


@pytest.mark.parametrize(("patience", "last"), [(1, 3), (2, 6), (3, 9), (None, 9)])
def test_training_stops_after_patience_epochs_without_a_better_one(patience, last):
    rows = history([0.5, 0.6, 0.6, 0.7, 0.1, 0.7, 0.71, 0.3, 0.3])
    stopped = next((n for n in range(len(rows)) if stops_early(rows[:n], "auroc", patience)), len(rows))
    assert stopped == last


@given(found=values, choose_by=choices, patience=st.integers(1, 5))
def test_training_stops_early_only_if_the_best_epoch_is_patience_epochs_ago(found, choose_by, patience):
    """Whatever follows: a training that stops has seen its best epoch `patience` epochs ago, and not before that."""
    rows = history(found, choose_by)
    since = len(rows) - best_epoch(pd.DataFrame(rows), choose_by)
    assert stops_early(rows, choose_by, patience) == (since >= patience)
    assert not stops_early(rows, choose_by, None) and not stops_early([], choose_by, patience)
