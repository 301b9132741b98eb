"""A model's trainings aggregated: seeds by the mean of logits, trainings by that of probabilities, labels of train."""

import numpy as np
import pandas as pd
import pytest

import compare_seeds as seeds
from melanoma.predictions.aggregate import aggregated, seed_names
from melanoma.predictions.table import COLUMNS
from melanoma.stats.metrics import auroc

TRAIN = pd.DataFrame({"image": list("abcd"), "target": [1, 0, 1, 0]})
LABELS = pd.DataFrame({"image": ["x", "y"], "target": [0, 1]})


def run(fold: int | None, logits: list[float], test: bool = True) -> pd.DataFrame:
    """Return the predictions of a fold's model, or of the refit: of a, b (fold 0) or c, d (fold 1), and of test."""
    held_out = [] if fold is None else [list("ab"), list("cd")][fold]
    images = [*held_out, *(["x", "y"] if test else [])]
    logit = np.array(logits, float)
    return pd.DataFrame(
        {
            "image": images,
            "patient": [f"p{image}" for image in images],
            "fold": np.array([fold if image in held_out else -1 for image in images], np.int8),
            "part": ["train" if image in held_out else "test" for image in images],
            "source": "s",
            "logit": logit,
            "probability": 1 / (1 + np.exp(-logit)),
            "trained_prevalence": 0.5 if fold is None else 0.2 + 0.2 * fold,
            "patient_distance": np.abs(logit) / 10,
        }
    )


def test_one_training_of_each_part_stays_as_it_is_and_train_has_its_labels():
    rows = aggregated({"fold-0": run(0, [1, -1], test=False), "refit": run(None, [3, -3])}, TRAIN)
    assert list(rows) == COLUMNS
    assert rows["image"].tolist() == ["a", "b", "x", "y"] and rows["logit"].tolist() == [1, -1, 3, -3]
    assert rows["target"].tolist() == [1, 0, pd.NA, pd.NA]


def test_labels_of_the_test_are_never_beside_predictions_even_where_train_has_the_name():
    rows = aggregated({"refit": run(None, [3, -3])}, pd.concat([TRAIN, LABELS]))
    assert rows["target"].isna().all()


def test_the_folds_models_are_averaged_by_probability_on_the_test_alone():
    rows = aggregated({"fold-0": run(0, [1, -1, 2, 0]), "fold-1": run(1, [5, -5, 0, 0])}, TRAIN).set_index("image")
    assert rows.loc[list("abcd"), "logit"].tolist() == [1, -1, 5, -5]
    expected = (1 / (1 + np.exp(-2)) + 0.5) / 2
    assert rows.loc["x", "probability"] == pytest.approx(expected, abs=1e-15)
    assert rows.loc["x", "logit"] == pytest.approx(np.log(expected / (1 - expected)), abs=1e-12)
    assert rows["trained_prevalence"].tolist() == pytest.approx([0.2, 0.2, 0.4, 0.4, 0.3, 0.3])


def test_seeds_are_averaged_by_logit_within_each_training_first():
    runs = {
        "fold-0-seed-1": run(0, [1, -1, 2, 0]),
        "fold-0-seed-2": run(0, [3, -1, 4, 0]),
        "fold-1-seed-1": run(1, [0, 0, -3, 0]),
        "fold-1-seed-2": run(1, [0, 1, -5, 0]),
    }
    rows = aggregated(runs, TRAIN).set_index("image")
    assert rows.loc[list("abcd"), "logit"].tolist() == [2, -1, 0, 0.5]
    assert rows.loc["a", "probability"] == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-15)
    folds = [1 / (1 + np.exp(-3)), 1 / (1 + np.exp(4))]
    assert rows.loc["x", "probability"] == pytest.approx(np.mean(folds), abs=1e-15)
    assert rows["source"].eq("s").all() and len(rows) == 6


def test_distances_are_averaged_over_seeds_and_over_the_folds_models():
    runs = {
        "fold-0-seed-1": run(0, [1, -1, 2, 0]),
        "fold-0-seed-2": run(0, [3, -1, 4, 0]),
        "fold-1": run(1, [0, 5, -5, 0]),
    }
    rows = aggregated(runs, TRAIN).set_index("image")
    assert rows["patient_distance"].to_dict() == pytest.approx({"a": 0.2, "b": 0.1, "c": 0, "d": 0.5, "x": 0.4, "y": 0})
    unseen = {name: table.assign(patient_distance=np.nan) for name, table in runs.items()}
    pd.testing.assert_frame_equal(aggregated(unseen, TRAIN).set_index("image"), rows.assign(patient_distance=np.nan))


def test_with_a_refit_it_alone_predicts_the_test_and_the_test_logits_of_the_folds_stand_beside():
    folds = {f"fold-{fold}": run(fold, [1, -1, 2, fold]) for fold in (0, 1)}
    rows = aggregated(folds | {"refit": run(None, [3, -3])}, TRAIN)
    alone = {name: table[table["part"] == "train"] for name, table in folds.items()}
    pd.testing.assert_frame_equal(rows[COLUMNS], aggregated(alone | {"refit": run(None, [3, -3])}, TRAIN))
    assert list(rows.columns.drop(COLUMNS)) == ["logit_fold-0", "logit_fold-1", "logit_fold-refit"], "and no spread"
    assert rows.iloc[-2:, -3:].to_numpy().tolist() == [[2, 2, 3], [0, 1, -3]]


def test_equal_seeds_change_nothing():
    once = aggregated({"fold-0": run(0, [1, -1, 2, 0])}, TRAIN)
    twice = aggregated({f"fold-0-seed-{seed}": run(0, [1, -1, 2, 0]) for seed in (1, 2)}, TRAIN)
    pd.testing.assert_frame_equal(once, twice.drop(columns="spread"))
    assert (twice["spread"] == 0).all()


def test_the_spread_is_that_of_each_seeds_own_auroc():
    runs = {
        "fold-0-seed-1": run(0, [1, -1], test=False),
        "refit-seed-1": run(None, [-1, 1]),
        "fold-0-seed-7": run(0, [-1, 1], test=False),
        "refit-seed-7": run(None, [1, 1]),
    }
    found = seeds.spread(runs, TRAIN, LABELS)
    assert found["seeds"] == seed_names(runs) == ["1", "7"]
    assert found["out_of_fold"] == {"auroc": [1.0, 0.0], "sd": pytest.approx(np.std([1, 0], ddof=1))}
    assert found["test"] == {"auroc": [1.0, 0.5], "sd": pytest.approx(np.std([1, 0.5], ddof=1))}
    assert auroc(np.array([0, 1]), np.array([-1, 1])) == 1


def test_rows_of_one_class_have_no_auroc():
    runs = {f"refit-seed-{seed}": run(None, [0, 1]) for seed in (1, 2)}
    found = seeds.spread(runs, TRAIN, LABELS.assign(target=0))
    assert found["test"] == {"auroc": [None, None], "sd": None}
    assert found["out_of_fold"] == {"auroc": [None, None], "sd": None}


def test_the_spread_is_the_deviation_of_the_logits_of_all_trainings_that_predict_an_image():
    runs = {
        "fold-0-seed-1": run(0, [1, -1, 2, 0]),
        "fold-0-seed-2": run(0, [3, -1, 4, 0]),
        "fold-1-seed-1": run(1, [0, 0, -3, 0]),
        "fold-1-seed-2": run(1, [0, 1, -5, 0]),
    }
    spread = aggregated(runs, TRAIN).set_index("image")["spread"]
    expected = {"a": np.std([1, 3], ddof=1), "b": 0, "x": np.std([2, 4, -3, -5], ddof=1), "y": 0}
    assert spread[list(expected)].to_dict() == pytest.approx(expected, abs=1e-12)
    one_seed = aggregated({"fold-0": run(0, [1, -1, 2, 0]), "fold-1": run(1, [5, -5, 0, 0])}, TRAIN)
    assert one_seed.set_index("image")["spread"].isna().tolist() == [True] * 4 + [False] * 2


def test_the_deviation_over_views_is_averaged_over_the_trainings_that_predict_an_image():
    deviations = {"fold-0-seed-1": [1, 2, 9, 9], "fold-0-seed-2": [3, 2, 9, 9], "refit": [5, 6]}
    fold = run(0, [1, -1, 2, 0])
    runs = {"fold-0-seed-1": fold, "fold-0-seed-2": fold, "refit": run(None, [3, -3])}
    views = {name: rows.assign(view_deviation=deviations[name]) for name, rows in runs.items()}
    assert aggregated(views, TRAIN).set_index("image")["view_deviation"].to_dict() == {"a": 2, "b": 2, "x": 5, "y": 6}
    assert "view_deviation" not in aggregated(runs, TRAIN)


def test_the_folds_test_logits_stand_beside_their_mean():
    runs = {
        "fold-0-seed-1": run(0, [1, -1, 2, 0]),
        "fold-0-seed-2": run(0, [3, -1, 4, 1]),
        "fold-1": run(1, [0, 0, -3, 5]),
    }
    rows = aggregated(runs, TRAIN).set_index("image")
    assert rows.loc[["x", "y"], "logit_fold-0"].tolist() == [3, 0.5]
    assert rows.loc[["x", "y"], "logit_fold-1"].tolist() == [-3, 5]
    assert rows.loc[list("abcd"), ["logit_fold-0", "logit_fold-1"]].isna().all(axis=None)
