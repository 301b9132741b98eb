"""Metadata models and linear probes are fitted to training rows alone, and predict in the common format."""

import json

import numpy as np
import pandas as pd
import pytest

import tiny
from melanoma.common.errors import InputError
from melanoma.config.networks import FROZEN_FEATURES
from melanoma.config.recipe import Recipe
from melanoma.models.embeddings import Embeddings
from melanoma.models.tabular import MetadataModel, out_of_fold_and_test
from melanoma.predictions.patient_context import patient_distance
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


def features(train: pd.DataFrame, test: pd.DataFrame, width=6) -> Embeddings:
    """Return features of which the first one is higher for melanomas."""
    rows = pd.concat([train, test])
    values = np.random.default_rng(0).normal(size=(len(rows), width)).astype(np.float32)
    values[:, 0] += 3 * rows["target"].to_numpy()
    network = {"recipe": {"network": "resnest50"}, "weights_sha256": "0c", "images": {"size": 32}}
    return Embeddings(rows["image"].tolist(), values, network)


def probed(
    train: pd.DataFrame, test: pd.DataFrame, head="image_only", test_by="refit", embeddings=None, network="linear_probe"
):
    """Return the predictions and the model of frozen features; the test images follow those of train in the store."""
    test = test.assign(row=len(train) + np.arange(len(test)))
    embeddings = embeddings or features(train, test)
    unlabeled = test.drop(columns="target")
    return out_of_fold_and_test(recipe(network, head=head), train, unlabeled, [0, 1, 2], test_by, 1, embeddings)


def test_nearest_neighbors_learn_from_the_features_and_keep_each_of_them_once():
    train, test = informative(200), unseen(100)
    predictions, model = probed(train, test, network="nearest_neighbors")
    for part, labels in (("train", train), ("test", test)):
        merged = labels[["image", "target"]].merge(predictions.loc[predictions["part"] == part, ["image", "logit"]])
        assert len(merged) == len(labels) and auroc(merged["target"].to_numpy(), merged["logit"].to_numpy()) > 0.8
    values = model.to_dict()
    assert len(values["gallery"]["target"]) == len(train)
    assert len(values["runs"]["refit"]["classifier"]["rows"]) == len(train)
    held_out = set(np.flatnonzero(train["fold"] == 0))
    assert set(values["runs"]["fold-0"]["classifier"]["rows"]) == set(range(len(train))) - held_out


@pytest.mark.parametrize("head", ["image_only", "image_and_metadata"])
def test_a_probe_learns_from_the_features_and_any_metadata(head):
    train, test = informative(200), unseen(100)
    predictions, model = probed(train, test, head)
    for part, labels in (("train", train), ("test", test)):
        merged = labels[["image", "target"]].merge(predictions.loc[predictions["part"] == part, ["image", "logit"]])
        assert len(merged) == len(labels) and auroc(merged["target"].to_numpy(), merged["logit"].to_numpy()) > 0.95
    columns = {"image_only": 6, "image_and_metadata": 6 + len(model.runs["refit"].encoder.names)}
    assert len(model.runs["refit"].to_dict()["classifier"]["coefficients"]) == columns[head]


@pytest.mark.parametrize("network", FROZEN_FEATURES)
def test_a_folds_labels_reach_neither_the_choice_in_its_run_nor_its_predictions(network):
    """The choice is that of a probe's penalty, or of the number of neighbors."""
    train, test = informative(90), unseen(20)
    embeddings = features(train, test)
    turned = train.assign(target=np.where(train["fold"] == 0, 1 - train["target"], train["target"]))
    tables, models = zip(
        *(probed(rows, test, embeddings=embeddings, network=network) for rows in (train, turned)), strict=True
    )
    assert models[0].runs["fold-0"].to_dict() == models[1].runs["fold-0"].to_dict()
    assert models[0].runs["refit"].to_dict() != models[1].runs["refit"].to_dict()
    of_fold = [table[table["fold"] == 0].drop(columns="target") for table in tables]
    pd.testing.assert_frame_equal(*of_fold)


@pytest.mark.parametrize(
    ("network", "head"), [("linear_probe", "image_and_metadata"), ("nearest_neighbors", "image_only")]
)
def test_the_file_of_frozen_features_names_their_backbone_and_predicts_the_same(network, head):
    train, test = informative(90), unseen(20)
    predictions, model = probed(train, test, head, "fold_mean", network=network)
    values = json.loads(json.dumps(model.to_dict()))
    assert values["backbone"]["weights_sha256"] == "0c"
    assert ("penalty" in values["runs"]["fold-0"]) == (network == "linear_probe")
    new = features(train, test).join(test.assign(row=len(train) + np.arange(len(test))))
    again = MetadataModel.from_dict(values).predict(new)
    expected = predictions[predictions["part"] == "test"].set_index("image").loc[new["image"]]
    assert again["probability"].tolist() == expected["probability"].tolist()
    assert again["patient_distance"].tolist() == expected["patient_distance"].tolist()
    with pytest.raises(InputError, match="no column embedding"):
        model.predict(test)


def test_a_probe_compares_an_image_with_the_others_of_its_patient():
    train, test = informative(90), unseen(20)
    predictions, _ = probed(train, test)
    shown = predictions[predictions["part"] == "test"]
    expected = patient_distance(features(train, test).values[90:], test["patient"])
    np.testing.assert_array_equal(shown["patient_distance"], expected)


def test_images_without_a_patient_are_not_images_of_one_patient():
    chosen = recipe("logistic_regression", inputs=["images_per_patient"])
    test = unseen(6).drop(columns="target")
    _, model = out_of_fold_and_test(chosen, informative(90), test, [0], "refit", 1)
    test = test.drop(columns="images_per_patient", errors="ignore")
    alone = [model.predict(test[test["image"] == image])["logit"].item() for image in test["image"]]
    assert model.predict(test.assign(patient=None))["logit"].tolist() == alone
