"""The bundle of a model of frozen features has its network: it predicts without the study and the weights file."""

import numpy as np
import pandas as pd
import pytest
import torch

import small_store
from melanoma.bundle.model import BundledModel
from melanoma.bundle.pack import pack
from melanoma.classify.answers import answers
from melanoma.classify.chunks import compute
from melanoma.common.errors import InputError
from melanoma.common.files import write_json
from melanoma.compute.distributed import Processes
from melanoma.config.networks import FROZEN_FEATURES
from melanoma.config.recipe import Recipe
from melanoma.models.classifier import build_network
from melanoma.models.tabular import out_of_fold_and_test
from melanoma.training.embedder import embed

IMAGES, TRAIN = 30, 24
INTERVAL = {"value": 0.8, "low": 0.7, "high": 0.9}


def recipe(folder, network="linear_probe") -> Recipe:
    """Return the recipe of a model of frozen features, whose weights file is in `folder`."""
    probe = {"network": network, network: {"network": "timm/resnet10t"}, "input_size": 32}
    return Recipe.model_validate(probe | {"backbone": {"weights": str(folder / "weights.pth")}})


@pytest.fixture(params=["linear_probe"])
def study(tmp_path, request):
    """Write the files of a study with a model of frozen features for a bundle; return images and predictions, too."""
    files = small_store.catalog(tmp_path, IMAGES + 1)
    store = small_store.build(tmp_path / "results", files, 1)
    network = Recipe(network="timm/resnet10t", backbone={"pretrained": False})
    torch.save(build_network(network, 32, 0).image.network.state_dict(), tmp_path / "weights.pth")
    embeddings = embed(recipe(tmp_path).frozen_network, store, torch.device("cpu"), 0, Processes())
    row = np.arange(IMAGES)
    table = pd.DataFrame({"row": row, "image": embeddings.images, "target": row % 2, "fold": row // 2 % 2})
    table = table.assign(patient=[f"p{number // 4}-{number % 2}" for number in row], source="s", age=50.0)
    table = table.assign(sex="male", site="torso").merge(files)
    train, test = table[:TRAIN], table[TRAIN:].reset_index(drop=True)
    predictions, model = out_of_fold_and_test(
        recipe(tmp_path, request.param), train, test.drop(columns=["target", "fold"]), [0, 1], "refit", 1, embeddings
    )
    results = tmp_path / "results"
    thresholds = {"youden": {"threshold": 0.5}}
    metrics = dict.fromkeys(("auroc", "average_precision", "brier", "ece"), INTERVAL)
    counts = {"n": 6, "melanomas": 3, "unit": "patient", "units": 4}
    write_json(results / "evaluate/metrics.json", {"probe": metrics | counts | {"thresholds": thresholds}})
    write_json(results / "evaluate/calibration.json", {})
    write_json(results / "train/probe/model.json", model.to_dict())
    (results / "predict").mkdir()
    (results / "split").mkdir()
    predictions.to_parquet(results / "predict/probe.parquet")
    train.to_parquet(results / "split/train.parquet")
    test.drop(columns=["target", "fold"]).to_parquet(results / "split/test.parquet")
    return results, test, predictions


@pytest.mark.parametrize("study", FROZEN_FEATURES, indirect=True)
def test_the_bundle_predicts_as_the_study_does(tmp_path, study):
    results, test, predictions = study
    assert pack(results, "probe", tmp_path / "bundle")["training_images"]
    (tmp_path / "weights.pth").unlink()
    bundle = BundledModel.read(tmp_path / "bundle")
    assert not bundle.reads_metadata
    found = answers(bundle, compute(bundle, test, tmp_path / "resume", 0, 1), test, "youden").set_index("image")
    expected = predictions.set_index("image").loc[found.index]
    np.testing.assert_allclose(found["logit"], expected["logit"], rtol=0, atol=1e-4)
    assert expected["logit"].nunique() == len(test)


def test_another_weights_file_than_that_of_the_features_is_refused(tmp_path, study):
    network = Recipe(network="timm/resnet10t", backbone={"pretrained": False})
    torch.save(build_network(network, 32, 0).image.network.state_dict(), tmp_path / "weights.pth")
    with pytest.raises(InputError, match=r"weights.pth: it has changed since the features of timm/resnet10t"):
        pack(study[0], "probe", tmp_path / "bundle")
