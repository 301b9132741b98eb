"""The bundle of a model of frozen features has its network: it predicts without the study and the weights file."""

from argparse import Namespace
from dataclasses import replace

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch

import evaluate_bundle
import small_store
from melanoma.augment.tta import NO_TTA
from melanoma.bundle.model import BundledModel
from melanoma.bundle.pack import pack
from melanoma.classify.answers import answers
from melanoma.classify.chunks import compute
from melanoma.classify.maps import Mapper
from melanoma.common.errors import InputError
from melanoma.common.files import read_json, write_json
from melanoma.compute.distributed import Processes
from melanoma.config.networks import FROZEN_FEATURES
from melanoma.config.recipe import Recipe
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.explain.heat import GRAD_CAM
from melanoma.explain.members import probe_heat
from melanoma.models.classifier import build_network
from melanoma.models.tabular import load, out_of_fold_and_test
from melanoma.training.embedder import embed
from melanoma.training.loader import Examples, PredictionBatches
from melanoma.training.prefetch import Prefetch

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
    intended = {"sensitivity": 0.875, "specificity": 0.5}
    youden = {"threshold": 0.5, "sensitivity": INTERVAL, "specificity": INTERVAL, "intended": intended}
    thresholds = {"youden": youden, "sensitivity_90": youden | {"threshold": 0.25}}
    metrics = dict.fromkeys(("auroc", "average_precision", "brier", "ece"), INTERVAL)
    counts = {"n": 6, "melanomas": 3, "unit": "patient", "units": 4}
    counts |= {"bootstrap": {"confidence_level": 0.9}}
    write_json(results / "evaluate/metrics.json", {"probe": metrics | counts | {"thresholds": thresholds}})
    write_json(results / "evaluate/calibration.json", {})
    write_json(results / "train/probe/model.json", model.to_dict())
    (results / "predict").mkdir()
    (results / "split").mkdir()
    (results / "catalog").mkdir()
    files.assign(license="CC-BY", attribution=None).to_parquet(results / "catalog/catalog.parquet")
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
    assert bundle.columns_read == []
    found = answers(bundle, compute(bundle, test, tmp_path / "resume", 0, 1), test, "youden").set_index("image")
    expected = predictions.set_index("image").loc[found.index]
    np.testing.assert_allclose(found["logit"], expected["logit"], rtol=0, atol=1e-4)
    assert expected["logit"].nunique() == len(test)


@pytest.mark.large
def test_the_onnx_model_of_a_probe_gives_its_logits_from_pixels_and_metadata(tmp_path, study):
    results, test, predictions = study
    about = pack(results, "probe", tmp_path / "bundle", onnx=True)
    network = about["onnx"]["networks"]["probe"]
    run = network["runs"]["refit"]
    encoder = MetadataEncoder.fit(test)
    examples = Examples.of(test, encoder, results / "images/images.h5", network["side"])
    pixels = PredictionBatches(examples, IMAGES, NO_TTA, recipe(tmp_path))[0].images.numpy()
    session = onnxruntime.InferenceSession(tmp_path / "bundle" / run["model"])
    found = session.run(["logit"], {"images": pixels})[0]
    expected = predictions.set_index("image")["logit"].loc[test["image"]]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_the_maps_of_a_probe_are_the_same_from_the_study_and_from_the_bundle_and_depend_on_the_weights(tmp_path, study):
    results, test, _ = study
    pack(results, "probe", tmp_path / "bundle")
    model = load(results / "train/probe/model.json")
    heat = probe_heat(model, test, results / "images/images.h5")
    assert heat.method == GRAD_CAM and heat.maps.shape[0] == len(test)
    with Prefetch(0, pinned=False) as prefetch:
        mapper = Mapper(BundledModel.read(tmp_path / "bundle"), 0, prefetch)
        np.testing.assert_array_equal(mapper.maps(test), heat.maps)
    fitted = model.runs["refit"]
    opposite = replace(fitted.classifier, coefficients=-fitted.classifier.coefficients)
    other = replace(model, runs={"refit": fitted._replace(classifier=opposite)})
    evidence_of_benign = probe_heat(other, test, results / "images/images.h5").maps
    assert (evidence_of_benign != heat.maps).any(axis=(1, 2)).all()


def test_the_bundle_alone_is_evaluated_with_the_features_that_it_reads(tmp_path, study):
    results, test, predictions = study
    pack(results, "probe", tmp_path / "bundle")
    options = Namespace(output=tmp_path / "external.json", gpus=0, threads=1)
    found, _ = evaluate_bundle.predict(BundledModel.read(tmp_path / "bundle"), test, options)
    expected = predictions.set_index("image").loc[found["image"]]
    np.testing.assert_allclose(found["logit"], expected["logit"], rtol=0, atol=1e-4)


def test_the_card_states_the_sources_with_their_licenses_and_the_subgroups(tmp_path, study):
    results, _, _ = study
    group = {"n": 3, "melanomas": 1, "auroc": INTERVAL, "sensitivity": INTERVAL, "specificity": INTERVAL}
    metrics = read_json(results / "evaluate/metrics.json")
    metrics["probe"]["subgroups"] = {"rule": "youden", "kinds": {"sex": {"groups": {"male": group}}}}
    write_json(results / "evaluate/metrics.json", metrics)
    pack(results, "probe", tmp_path / "bundle")
    card = (tmp_path / "bundle/README.md").read_text()
    assert "| s | CC-BY | not stated | 24 | 12 |" in card
    assert "| sex: male | 3 | 1 | 0.8000 [0.7000, 0.9000] |" in card


def test_bundle_and_card_state_what_each_threshold_was_chosen_for_and_that_the_image_is_all_that_is_read(
    tmp_path, study
):
    about = pack(study[0], "probe", tmp_path / "bundle")
    chosen = about["chosen"]["sensitivity_90"]
    assert (chosen["purpose"], chosen["images"], chosen["melanomas"]) == ("a sensitivity of at least 0.9", 24, 12)
    assert about["needs"] == ["image"] and about["without"] == {}
    card = (tmp_path / "bundle/README.md").read_text()
    rates = "0.875 | 0.500 | 0.8000 [0.7000, 0.9000] | 0.8000 [0.7000, 0.9000]"
    assert f"| sensitivity_90 | 0.2500 | a sensitivity of at least 0.9 | {rates} |" in card
    assert "the out-of-fold predictions of 24 images with 12 melanomas" in card
    assert "| 90 % confidence interval |" in card and "In brackets: 90 %\nconfidence" in card and "95 %" not in card
    assert "It reads the image alone." in card


def test_another_weights_file_than_that_of_the_features_is_refused(tmp_path, study):
    network = Recipe(network="timm/resnet10t", backbone={"pretrained": False})
    torch.save(build_network(network, 32, 0).image.network.state_dict(), tmp_path / "weights.pth")
    with pytest.raises(InputError, match=r"weights.pth: it has changed since the features of timm/resnet10t"):
        pack(study[0], "probe", tmp_path / "bundle")
