"""What prediction hands on beside the logit: each image's embedding, and how far it is from its patient's others."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import tiny
from melanoma.batches import Examples, PredictionBatches, to_device
from melanoma.context import patient_distance
from melanoma.distributed import Processes
from melanoma.encoder import MetadataEncoder
from melanoma.inference import NO_TTA, predict_logits, predict_logits_and_embeddings
from melanoma.networks import Classifier, build_network
from test_train import TinyStudy

FLIPS = {"name": "flips", "mean_of": "probability"}
CPU = torch.device("cpu")


@pytest.fixture
def rows() -> pd.DataFrame:
    return tiny.table(40)


@pytest.fixture
def examples(tmp_path, rows) -> Examples:
    return Examples.of(rows, MetadataEncoder.fit(rows), tiny.write_store(tmp_path / "images.h5", rows), None)


def network(recipe: dict[str, Any], examples: Examples) -> Classifier:
    torch.manual_seed(0)
    return build_network(recipe, tiny.SIZE, examples.metadata.shape[1]).eval()


@pytest.mark.parametrize("head", ["logit", "joint"])
@torch.no_grad()
def test_the_embedding_is_the_mean_over_views_of_what_the_last_layer_reads_of_the_image(examples, head):
    recipe = tiny.recipe(head=head)
    model = network(recipe, examples)
    logits, found = predict_logits_and_embeddings(model, examples, recipe, FLIPS, CPU, 0, Processes())
    views = to_device(PredictionBatches(examples, 10_000, FLIPS, recipe)[0], CPU).images
    expected = model.image(views).unflatten(0, (len(logits), 4)).mean(dim=1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(logits, predict_logits(model, examples, recipe, FLIPS, CPU, 0, Processes()))


def test_a_network_of_metadata_alone_has_no_embeddings(examples):
    recipe = tiny.recipe(network="metadata_mlp")
    seen = replace(examples, store=None)
    _, embeddings = predict_logits_and_embeddings(network(recipe, seen), seen, recipe, NO_TTA, CPU, 0, Processes())
    assert embeddings is None


def test_predictions_have_the_distance_of_the_networks_embeddings_from_the_patients_others(tmp_path):
    study = TinyStudy(tmp_path, epochs=1)
    study.rows = study.rows.assign(patient=study.rows["fold"].map("IP_{}".format))
    study.rows.to_parquet(tmp_path / "train.parquet")
    study.train("run")
    found = study.predict("run")
    trained = torch.load(tmp_path / "run" / "weights.pt", weights_only=True)
    held_out = study.rows[study.rows["fold"] == 0]
    examples = Examples.of(held_out, MetadataEncoder.from_dict(trained["encoder"]), study.images, None)
    model = network(trained["recipe"], examples)
    model.load_state_dict(trained["weights"])
    _, embeddings = predict_logits_and_embeddings(model, examples, trained["recipe"], NO_TTA, CPU, 0, Processes())
    np.testing.assert_allclose(
        found["patient_distance"], patient_distance(embeddings, held_out["patient"]), rtol=0, atol=1e-6
    )
    assert found["patient_distance"].nunique() > 10
