"""Predictions of a network: logits, embeddings of images, and distances between the images of a patient."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit

import quick
import tiny
from melanoma.augment.tta import NO_TTA
from melanoma.common.errors import InputError
from melanoma.compute.distributed import Processes
from melanoma.config.augmentation import TTA
from melanoma.config.recipe import Recipe
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.device.images import DeviceImages
from melanoma.models.classifier import Classifier, build_network
from melanoma.predictions.patient_context import patient_distance
from melanoma.stats.metrics import auroc, average_precision, log_loss
from melanoma.training import predictor as predictor_module
from melanoma.training.loader import Examples, PredictionBatches, to_device
from melanoma.training.predictor import Predictor, require_same_preparation
from melanoma.training.prefetch import Prefetch
from melanoma.training.saved_network import from_safetensors
from small_training import TinyStudy

FLIPS = TTA(name="flips", mean_of="probability")
CPU = torch.device("cpu")


@pytest.fixture
def rows() -> pd.DataFrame:
    return tiny.table(40)


@pytest.fixture
def examples(tmp_path, rows) -> Examples:
    return Examples.of(rows, MetadataEncoder.fit(rows), tiny.write_store(tmp_path / "images.h5", rows), None)


def network(recipe: Recipe, examples: Examples) -> Classifier:
    torch.manual_seed(0)
    return build_network(recipe, tiny.SIZE, examples.metadata.shape[1]).eval()


def predictor(model: Classifier, recipe: Recipe) -> Predictor:
    return Predictor(model, recipe, CPU, prefetch=Prefetch(0, pinned=False), processes=Processes())


@pytest.mark.parametrize("head", ["image_only", "image_and_metadata"])
@torch.no_grad()
def test_the_embedding_is_the_mean_over_views_of_the_image_features(examples, head):
    recipe = tiny.recipe(head=head)
    model = network(recipe, examples)
    logits, found = predictor(model, recipe).predict(examples, FLIPS)
    views = to_device(PredictionBatches(examples, 10_000, FLIPS, recipe)[0], CPU)
    embeddings = model.image(views.images)
    expected = embeddings.unflatten(0, (len(logits), 4)).mean(dim=1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-5)
    probability = model.classify(embeddings, views.metadata)[:, 0].double().sigmoid().reshape(-1, 4).mean(dim=1)
    np.testing.assert_allclose(logits, probability.logit().numpy(), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_the_deviation_over_views_is_that_of_their_probabilities_and_missing_with_one_view(examples):
    recipe = tiny.recipe()
    model = network(recipe, examples)
    found = predictor(model, recipe).predict_views(examples, FLIPS)
    views = to_device(PredictionBatches(examples, 10_000, FLIPS, recipe)[0], CPU)
    probability = model(views.images, views.metadata)[:, 0].double().sigmoid().reshape(-1, 4)
    np.testing.assert_allclose(found.view_deviation, probability.std(dim=1).numpy(), rtol=1e-4)
    assert np.isnan(predictor(model, recipe).predict_views(examples, NO_TTA).view_deviation).all()


def test_a_network_of_metadata_alone_has_no_embeddings(examples):
    recipe = tiny.recipe(network="metadata_mlp")
    seen = replace(examples, store=None)
    _, embeddings = predictor(network(recipe, seen), recipe).predict(seen, NO_TTA)
    assert embeddings is None


@pytest.mark.parametrize(
    "changes",
    [
        {"head": "image_and_metadata"},
        {"network": "metadata_mlp"},
        *({"input_size": 24, "tta": {"name": "flips", "frame": frame}} for frame in ("full_size", "center_crop")),
    ],
)
def test_an_epoch_is_evaluated_by_the_logits_that_prediction_gives(examples, changes):
    """With views, by those of the first view, which is the image as it is."""
    recipe = tiny.recipe(**changes)
    seen = replace(examples, store=None) if "network" in changes else examples
    seen = replace(seen, output_size=changes.get("input_size", tiny.SIZE))
    made = predictor(network(recipe, seen), recipe)
    logits, _ = made.predict(seen, TTA(frame=recipe.tta.frame))
    assert made.evaluate(seen) == {
        "validation_loss": pytest.approx(log_loss(seen.targets, expit(logits))),
        "validation_auroc": auroc(seen.targets, logits),
        "validation_average_precision": average_precision(seen.targets, logits),
    }


def test_predictions_have_the_distance_between_the_embeddings_of_a_patient(tmp_path):
    study = TinyStudy(tmp_path, epochs=1)
    study.rows = study.rows.assign(patient=study.rows["fold"].map("IP_{}".format))
    study.rows.to_parquet(tmp_path / "train.parquet")
    study.train("run")
    found = study.predict("run").query("part == 'train'")
    path = tmp_path / "run" / "weights.safetensors"
    trained = from_safetensors(path.read_bytes(), path)
    held_out = study.rows[study.rows["fold"] == 0]
    examples = Examples.of(held_out, MetadataEncoder.from_dict(trained["encoder"]), study.images, None)
    recipe = Recipe.model_validate(trained["recipe"])
    model = network(recipe, examples)
    model.load_state_dict(trained["weights"])
    _, embeddings = predictor(model, recipe).predict(examples, NO_TTA)
    np.testing.assert_allclose(
        found["patient_distance"], patient_distance(embeddings, held_out["patient"]), rtol=0, atol=1e-6
    )
    assert found["patient_distance"].nunique() > 10


OPTIONS = {"size": tiny.SIZE, "fit": "center_crop", "crop_border": False, "color_constancy": "none"}


def other_store(folder: Path, **changes: str | int) -> Path:
    """Write a store whose images were prepared with other options than `OPTIONS`."""
    path = tiny.write_store(folder / "other.h5", tiny.table(4))
    with h5py.File(path, "a") as file:
        file.attrs.update(changes)
    return path


def trained(input_size: int | None = None, **changes: str | int | bool) -> dict[str, object]:
    return {"images": OPTIONS | changes, "recipe": {"input_size": input_size}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"size": 64}, "size: the network was trained with 64, the store has 32"),
        ({"fit": "resize"}, "fit: the network was trained with resize, the store has center_crop"),
        ({"crop_border": True}, "crop_border: the network was trained with True, the store has False"),
        ({"color_constancy": "shades_of_gray"}, "trained with shades_of_gray, the store has none"),
    ],
)
def test_a_store_prepared_in_another_way_is_refused(tmp_path, changes, said):
    store = other_store(tmp_path)
    require_same_preparation(trained(), store)
    with pytest.raises(InputError, match=said) as error:
        require_same_preparation(trained(**changes), store)
    assert "section images of the study" in str(error.value)


def test_a_network_that_resizes_its_images_reads_larger_stores_of_another_size(tmp_path):
    store = other_store(tmp_path)
    require_same_preparation(trained(input_size=24, size=64), store)
    with pytest.raises(InputError, match="trained with 64, the store has 32"):
        require_same_preparation(trained(input_size=48, size=64), store)


def test_a_network_without_images_needs_no_store_and_one_with_images_does():
    require_same_preparation(trained() | {"images": None}, None)
    with pytest.raises(InputError, match="give the image store by --images"):
        require_same_preparation(trained(), None)


def test_prediction_refuses_a_store_of_another_preparation(tmp_path):
    study = TinyStudy(tmp_path, epochs=1)
    study.train("run")
    shutil.move(other_store(tmp_path, crop_border="True"), study.images)
    with pytest.raises(AssertionError, match=re.escape("predict.py failed with exit code [1]")):
        options = study.prediction_options({"run": tmp_path / "run" / "weights.safetensors"}, tmp_path / "run")
        quick.run("predict", *options, "--log", tmp_path / "log")
    assert "crop_border: the network was trained with False, the store has True" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("tta", [NO_TTA, FLIPS])
def test_the_next_batch_is_under_way_before_the_results_of_one_are_read(examples, monkeypatch, tta):
    """Otherwise a GPU would wait while the host reads the results, and the host while the GPU computes."""
    recipe, order = tiny.recipe(), []
    model = network(recipe, examples)
    embed, read = model.embed, predictor_module._mean_logits
    monkeypatch.setattr(model, "embed", lambda images: order.append("compute") or embed(images))
    monkeypatch.setattr(predictor_module, "_mean_logits", lambda *args: order.append("read") or read(*args))
    many = replace(examples, rows=np.tile(examples.rows, 4), metadata=np.tile(examples.metadata, (4, 1)))
    many = replace(many, targets=np.tile(many.targets, 4), diagnoses=np.tile(many.diagnoses, 4))
    predictor(model, recipe).predict(many, tta)
    count = order.count("compute")
    assert count > 2 and order == ["compute", *["compute", "read"] * (count - 1), "read"]


def test_views_that_the_device_makes_give_the_logits_of_opencvs(examples):
    recipe = tiny.recipe()
    made = predictor(network(recipe, examples), recipe)
    on_device = replace(examples, device_images=DeviceImages(examples.store))
    for tta in (NO_TTA, FLIPS, TTA(name="random", n=3)):
        np.testing.assert_allclose(made.predict(on_device, tta)[0], made.predict(examples, tta)[0], atol=1e-2)
