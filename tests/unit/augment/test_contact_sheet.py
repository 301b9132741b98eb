"""The contact sheet shows the images that the loader gives to the network."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

import plot
import tiny
from finished_study import history
from in_process import call
from melanoma.augment.contact_sheet import contact_sheet
from melanoma.augment.transforms import IMAGENET_MEAN, IMAGENET_STD
from melanoma.common.files import write_csv
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.images.store import ImageStore
from melanoma.training.loader import EpochBatches, Examples, to_device
from project import ROOT

AUGMENTATION = {
    "flip_vertical": 0.5,
    "affine": {"probability": 0.5, "rotate": 90},
    "hue_saturation_value": {"probability": 0.5, "hue": 10},
    "hair": {"probability": 0.5},
    "blur": {"probability": 0.5},
    "cutout": {"probability": 0.5},
}


@pytest.fixture
def study(tmp_path):
    rows = tiny.table()
    rows.to_parquet(tmp_path / "train.parquet")
    tiny.write_store(tmp_path / "images.h5", rows)
    tiny.write_recipe(tmp_path / "cnn.yaml", augmentation=AUGMENTATION, input_size=24)
    return tmp_path


def draw(study, output, recipe="cnn"):
    write_csv(study / "history.csv", history(True))
    options = ["--recipes", f"{recipe}={study / recipe}.yaml", "--train", study / "train.parquet"]
    options += ["--images", study / "images.h5", "--histories", f"{recipe}:fold-0={study / 'history.csv'}"]
    call(plot, "training", *options, "--output", study / output)
    return study / output / "augmentation" / f"{recipe}.png"


@pytest.mark.parametrize("size", [None, 24])
def test_the_sheet_holds_the_pixels_that_training_sees(study, size):
    """The first images of an epoch's order are those at its first positions."""
    rows, recipe = tiny.table(), tiny.recipe(augmentation=AUGMENTATION, input_size=size)
    examples = Examples.of(rows, MetadataEncoder.fit(rows), study / "images.h5", size)
    for epoch in range(3):
        batches = EpochBatches(examples, recipe, epoch)
        images = to_device(batches[0], torch.device("cpu")).images.permute(0, 2, 3, 1).numpy()
        sheet = contact_sheet(examples.store, batches.order[: len(images)].tolist(), recipe, 3)
        expected = (255 * (images * IMAGENET_STD + IMAGENET_MEAN)).clip(0, 255)
        assert np.abs(sheet[:, 1 + epoch] - expected).max() <= 0.51


def test_an_image_comes_first_as_it_is(study):
    store = ImageStore(study / "images.h5")
    sheet = contact_sheet(store, [3, 1], tiny.recipe(augmentation=AUGMENTATION), 7)
    assert sheet.shape == (2, 8, tiny.SIZE, tiny.SIZE, 3)
    np.testing.assert_array_equal(sheet[:, 0], store.read([3, 1]))


def test_noise_of_the_recipe_is_on_the_sheet(study):
    store = ImageStore(study / "images.h5")
    noise = {"noise": {"probability": 1.0, "variance": [100, 100]}}
    sheet = contact_sheet(store, [1, 2, 3], tiny.recipe(augmentation=noise), 2).astype(int)
    assert (sheet[:, 1:] - sheet[:, :1]).std() == pytest.approx(10, rel=0.1)


def test_the_same_data_draw_the_same_bytes(study):
    first = draw(study, "first").read_bytes()
    assert first.startswith(b"\x89PNG") and first == draw(study, "second").read_bytes()


def test_a_model_without_images_has_no_sheet(study):
    tiny.write_recipe(study / "mlp.yaml", network="metadata_mlp")
    assert not draw(study, "mlp", "mlp").exists()


def test_rows_are_chosen_from_each_class(study, monkeypatch):
    chosen = []
    monkeypatch.setattr(
        plot,
        "contact_sheet",
        lambda store, rows, recipe, epochs: chosen.extend(rows) or np.zeros((4, 8, 2, 2, 3), np.uint8),
    )
    draw(study, "drawn")
    train = pd.read_parquet(study / "train.parquet").set_index("row")
    assert train.loc[chosen, "target"].tolist() == [0, 0, 1, 1]


def test_plots_do_not_import_torch():
    code = "import sys; sys.path.insert(0, 'scripts'); import plot; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
