"""A network as ONNX: the logits of torch for any number of images, and a refusal where they differ."""

import numpy as np
import onnxruntime
import pytest
import torch

import tiny
from melanoma.augment.tta import NO_TTA
from melanoma.bundle import onnx_export
from melanoma.bundle.onnx_export import TOLERANCE, about_run, probe_to_onnx, to_onnx
from melanoma.common.errors import InputError
from melanoma.compute.distributed import Processes
from melanoma.config.augmentation import TTA
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.models.classifier import build_network
from melanoma.models.plain_classifiers import Linear
from melanoma.training.loader import Examples, PredictionBatches
from melanoma.training.predictor import TrainedNetwork, restored
from melanoma.training.prefetch import Prefetch

READ = {"image_only": ["images"], "image_and_metadata": ["images", "metadata"], "metadata_mlp": ["metadata"]}


def trained(folder, kind: str) -> tuple[TrainedNetwork, Examples]:
    """Return a network with random weights and bfloat16, and 12 images of its study."""
    recipe = tiny.recipe(**{"network": kind} if kind == "metadata_mlp" else {"head": kind}, precision="bfloat16")
    rows = tiny.table(12)
    encoder = MetadataEncoder.fit(rows)
    store = tiny.write_store(folder / "images.h5", rows) if recipe.reads_images else None
    examples = Examples.of(rows, encoder, store, None)
    torch.manual_seed(1)
    network = build_network(recipe, tiny.SIZE, examples.metadata.shape[1])
    about = {"recipe": recipe.dump(), "encoder": encoder.to_dict(), "size": tiny.SIZE, "diagnoses": []}
    images = None if store is None else examples.store.preparation
    return {**about, "weights": network.state_dict(), "images": images}, examples


@pytest.mark.large
@pytest.mark.parametrize("kind", READ)
def test_the_logits_are_those_of_torch_for_any_number_of_images(tmp_path, kind):
    network, examples = trained(tmp_path, kind)
    session = onnxruntime.InferenceSession(to_onnx(network, examples, "net"))
    assert [one.name for one in session.get_inputs()] == READ[kind]
    network["recipe"]["precision"] = "float32"
    with Prefetch(0, pinned=False) as prefetch:
        predictor = restored(network, examples.metadata.shape[1], torch.device("cpu"), prefetch, Processes())
        expected = predictor.predict(examples, NO_TTA)[0]
    for count in (1, 5, 12):
        batch = PredictionBatches(examples, count, NO_TTA, predictor.recipe)[0]
        inputs = {"metadata": batch.metadata.numpy()}
        if batch.images is not None:
            inputs["images"] = batch.images.numpy()
        found = session.run(["logit"], {name: inputs[name] for name in READ[kind]})[0]
        np.testing.assert_allclose(found, expected[: len(found)], atol=TOLERANCE, rtol=0)


def test_a_linear_probe_is_one_model_from_pixels_and_metadata_to_its_logits(tmp_path):
    frozen, examples = trained(tmp_path, "image_only")
    draw = np.random.default_rng(0)
    columns, width = draw.normal(size=(12, 3)), 8 + 3
    probe = Linear(draw.normal(size=width), draw.uniform(0.5, 2, width), draw.normal(size=width), 0.3)
    session = onnxruntime.InferenceSession(probe_to_onnx(frozen, probe, columns, examples, "probe"))
    frozen["recipe"]["precision"] = "float32"
    with Prefetch(0, pinned=False) as prefetch:
        predictor = restored(frozen, examples.metadata.shape[1], torch.device("cpu"), prefetch, Processes())
        embeddings = predictor.predict(examples, TTA(name="dihedral"))[1]
    expected = probe.log_odds(np.concatenate([embeddings, columns], axis=1))
    pixels = PredictionBatches(examples, 12, NO_TTA, predictor.recipe)[0].images.numpy()
    for count in (1, 12):
        inputs = {"images": pixels[:count], "metadata": columns[:count].astype(np.float32)}
        found = session.run(["logit"], inputs)[0]
        np.testing.assert_allclose(found, expected[:count], atol=TOLERANCE, rtol=0)


def test_a_model_with_other_logits_is_refused(tmp_path, monkeypatch):
    network, examples = trained(tmp_path, "image_only")
    exact = onnx_export._logits
    monkeypatch.setattr(onnx_export, "_logits", lambda data, inputs: exact(data, inputs) + 2 * TOLERANCE)
    with pytest.raises(InputError, match="net: the logits of the ONNX model differ"):
        to_onnx(network, examples, "net")


def test_the_columns_of_metadata_are_named_only_where_they_are_read(tmp_path):
    columns = {kind: about_run(trained(tmp_path, kind)[0], "net.onnx")["columns"] for kind in READ}
    assert columns["image_only"] == [] and columns["image_and_metadata"] == columns["metadata_mlp"]
    assert columns["metadata_mlp"][:2] == ["age", "age missing"]
