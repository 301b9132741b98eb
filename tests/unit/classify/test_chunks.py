"""The networks of a bundle on many files: bad ones do not stop the others, and a killed run goes on."""

import numpy as np
import pandas as pd
import pytest
import torch

import tiny
from bad_images import Doubt, corpus, jpeg
from melanoma.bundle.model import BundledModel
from melanoma.classify import chunks
from melanoma.classify.chunks import compute
from melanoma.classify.inputs import find_images, with_metadata
from melanoma.config.augmentation import TTA
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.models.classifier import build_network
from melanoma.training.saved_network import NetworkModel

GOOD, BAD = 270, 30


@pytest.fixture
def bundle() -> BundledModel:
    """A small network with random weights, as a bundle holds it."""
    recipe = tiny.recipe()
    rows = tiny.table(12)
    encoder = MetadataEncoder.fit(rows)
    torch.manual_seed(0)
    network = build_network(recipe, tiny.SIZE, len(encoder.names))
    images = {"size": tiny.SIZE, "fit": "center_crop", "crop_border": False, "color_constancy": "none"}
    trained = {"recipe": recipe.dump(), "encoder": encoder.to_dict(), "size": tiny.SIZE, "images": images}
    trained |= {"diagnoses": [], "trained_prevalence": 0.5, "fold": None, "weights": network.state_dict()}
    networks = {"cnn": NetworkModel(TTA(), ["refit"], {"refit": trained}, {"refit": 0})}
    return BundledModel({"name": "cnn", "files": {}, "models": {"cnn": "network"}}, networks, {}, {}, {})


def table(folder) -> pd.DataFrame:
    return with_metadata(find_images([folder]), None)


def test_30_damaged_files_among_300_are_listed_with_reasons_and_the_others_have_answers(tmp_path, bundle, caplog):
    expected = corpus()
    damaged = {name for name, (_, problem) in expected.items() if problem and not isinstance(problem, Doubt)}
    names = sorted(damaged)[:BAD]
    photograph = jpeg()
    for number in range(GOOD):
        (tmp_path / f"good-{number:03d}.jpg").write_bytes(photograph)
    for name in names:
        (tmp_path / f"{name}.jpg").write_bytes(expected[name][0])
    images = table(tmp_path)
    outputs = compute(bundle, images, tmp_path / "resume", 0, 1)
    bad = ~outputs.quality["readable"]
    assert len(names) == BAD and set(images.loc[bad, "image"]) == set(names)
    assert outputs.quality.loc[bad, "problem"].str.len().min() > 5
    assert "left out of the study" not in caplog.text
    assert len(outputs.logits["cnn", "refit"]) == GOOD and np.isfinite(outputs.logits["cnn", "refit"]).all()


def test_a_run_that_was_killed_goes_on_from_its_finished_chunks(tmp_path, bundle, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK", 64)
    photograph = jpeg()
    for number in range(130):
        (tmp_path / f"{number:03d}.jpg").write_bytes(photograph)
    images, computed = table(tmp_path), []
    exact = chunks._compute_chunk

    def killed_at_the_second(*arguments):
        computed.append(arguments[2])
        if len(computed) == 2:
            raise KeyboardInterrupt
        exact(*arguments)

    monkeypatch.setattr(chunks, "_compute_chunk", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        compute(bundle, images, tmp_path / "resume", 0, 1)
    again = compute(bundle, images, tmp_path / "resume", 0, 1)
    assert computed == [0, 64, 64, 128]
    monkeypatch.setattr(chunks, "_compute_chunk", exact)
    whole = compute(bundle, images, tmp_path / "other", 0, 1)
    assert np.array_equal(again.logits["cnn", "refit"], whole.logits["cnn", "refit"])
