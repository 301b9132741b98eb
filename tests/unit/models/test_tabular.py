"""Metadata models are fitted to training rows alone and predict out of fold and on test in the common format."""

import numpy as np
import pandas as pd
import pytest

import tiny
from melanoma.config.recipe import Recipe
from melanoma.models.tabular import out_of_fold_and_test
from melanoma.stats.metrics import auroc

NETWORKS = ["logistic_regression", "random_forest", "naive_bayes", "gradient_boosting"]


def recipe(network: str, **changes) -> Recipe:
    boosting = {"max_iter": 30, "min_samples_leaf": 5}
    return tiny.recipe(
        network=network, random_forest={"n_estimators": 50, "max_depth": 2}, gradient_boosting=boosting, **changes
    )


def informative(count=600, seed=0) -> pd.DataFrame:
    """Return rows whose age tells the class: melanomas are 30 years older."""
    rows = tiny.table(count, seed)
    rows["age"] = np.random.default_rng(seed).normal(40 + 30 * rows["target"], 12)
    return rows


def unseen(count=200) -> pd.DataFrame:
    return informative(count, seed=1).assign(image=[f"TEST_{number}" for number in range(count)])


@pytest.mark.parametrize("network", NETWORKS)
def test_it_learns_from_metadata(network):
    test = unseen()
    predictions, _ = out_of_fold_and_test(recipe(network), informative(), test.drop(columns="target"), [0], "refit", 1)
    predicted = predictions[predictions["part"] == "test"]
    assert auroc(test["target"].to_numpy(), predicted["probability"].to_numpy()) > 0.9


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("test_by", ["refit", "fold_mean"])
def test_each_run_fold_and_every_test_image_is_predicted_once(network, test_by):
    train, test = informative(90), unseen(20).drop(columns="target")
    predictions, _ = out_of_fold_and_test(recipe(network), train, test, [0, 2], test_by, 1)
    out_of_fold = predictions[predictions["part"] == "train"]
    assert sorted(out_of_fold["image"]) == sorted(train.loc[train["fold"].isin([0, 2]), "image"])
    assert predictions.loc[predictions["part"] == "test", "image"].tolist() == test["image"].tolist()
    assert set(predictions.loc[predictions["part"] == "test", "fold"]) == {-1}
    assert predictions["probability"].between(0, 1).all() and np.isfinite(predictions["logit"]).all()


@pytest.mark.parametrize("network", NETWORKS)
def test_a_folds_labels_do_not_reach_its_own_predictions(network):
    """Turning round the labels of the fold that is predicted changes nothing of its predictions."""
    train, test = informative(90), unseen(20).drop(columns="target")
    turned = train.assign(target=np.where(train["fold"] == 0, 1 - train["target"], train["target"]))
    results = [out_of_fold_and_test(recipe(network), rows, test, [0], "fold_mean", 1)[0] for rows in (train, turned)]
    pd.testing.assert_frame_equal(*(table.drop(columns="target") for table in results))


def test_in_naive_bayes_a_site_of_one_class_alone_does_not_decide():
    train = informative(300)
    train["site"] = np.where((train["target"] == 1) & (train.index % 16 == 0), "oral/genital", "torso")
    test = unseen(100).drop(columns="target").assign(site="oral/genital")
    predictions, _ = out_of_fold_and_test(recipe("naive_bayes"), train, test, [0], "refit", 1)
    predicted = predictions.loc[predictions["part"] == "test", "probability"]
    assert predicted.round(6).nunique() > 20
