"""A saved network: from its files and a JPEG alone, a new process computes the logits of the study."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import quick
import tiny
from fresh import fresh
from melanoma.common.errors import InputError
from melanoma.common.files import write_parquet, write_yaml
from melanoma.config.data import Images
from melanoma.images.shards import Photographs, write_shard
from melanoma.images.store import ImageStore
from melanoma.training import saved_network as network_file
from pictures import encode, smooth

PREPARATION = {"size": tiny.SIZE, "fit": "resize", "crop_border": True, "color_constancy": "shades_of_gray"}
FLIPS = {"name": "flips", "n": 15, "scale": 0.8, "mean_of": "probability"}
RANDOM = {"name": "random", "n": 3, "scale": 0.8, "mean_of": "logit"}
RUNS = {
    "refit": ["fold-0-seed-1", "fold-0-seed-2", "refit-seed-1", "refit-seed-2"],
    "fold_mean": ["fold-0-seed-1", "fold-0-seed-2", "fold-1-seed-1", "fold-1-seed-2"],
}
PREDICT = """
import pandas as pd
from melanoma.training import saved_network as network_file
model = network_file.load("predict/model.json")
model.predict(pd.read_parquet("new.parquet")).to_parquet("predicted.parquet")
"""


class Study:
    """A small study from raw JPEGs on: its store, trainings and predictions, as rules would make them."""

    def __init__(self, folder: Path, **changes: object) -> None:
        self.folder = folder
        rows = tiny.table(48)
        is_test = np.arange(48) // 2 % 4 == 3
        files = [folder / "jpeg" / f"{image}.jpg" for image in rows["image"]]
        (folder / "jpeg").mkdir()
        for number, file in enumerate(files):
            file.write_bytes(encode(self.photograph(number)))
        catalog = pd.DataFrame({"image": rows["image"], "file": [str(file) for file in files]})
        write_shard(folder / "images.h5", catalog, Images(**PREPARATION), 1)
        write_parquet(folder / "train.parquet", rows[~is_test].reset_index(drop=True))
        self.test = rows[is_test].drop(columns=["target", "fold", "diagnosis"]).reset_index(drop=True)
        write_parquet(folder / "test.parquet", self.test)
        tiny.write_recipe(folder / "recipe.yaml", epochs=1, **changes)
        images = ["--images", folder / "images.h5"] if changes.get("network") != "metadata_mlp" else []
        self.inputs = ["--train", folder / "train.parquet", *images]

    @staticmethod
    def photograph(number: int) -> np.ndarray:
        """Draw an image with a black frame, which the preparation crops."""
        framed = np.zeros((60, 80 + number, 3), np.uint8)
        framed[6:-6, 8:-8] = smooth(64 + number, 48, seed=number)
        return framed

    def finish(self, tta: dict[str, object], test_by: str = "refit") -> pd.DataFrame:
        """Train and predict all runs, and return the aggregated predictions of the test."""
        self.runs = RUNS[test_by]
        write_yaml(self.folder / "tta.yaml", tta)
        for run in self.runs:
            self.train(run)
        self.predict(test_by)
        predictions = pd.read_parquet(self.folder / "predict" / "model.parquet")
        return predictions[predictions["part"] == "test"].reset_index(drop=True)

    def train(self, run: str) -> None:
        out, (kind, *_, seed) = self.folder / "train" / run, run.split("-")
        history = self.folder / "train" / f"fold-0-seed-{seed}" / "history.csv"
        rows = ["--epochs-from", history] if kind == "refit" else ["--fold", run.split("-")[1]]
        files = ["--resume", out / "resume", "--history", out / "history.csv", "--weights", out / "weights.safetensors"]
        quick.run("train", "--recipe", self.folder / "recipe.yaml", "--seed", seed, *self.inputs, *rows, *files)

    def predict(self, test_by: str) -> None:
        out = self.folder / "predict"
        weights = [f"{run}={self.folder / 'train' / run / 'weights.safetensors'}" for run in self.runs]
        test = ["--test", self.folder / "test.parquet", "--tta", self.folder / "tta.yaml"]
        files = ["--runs", out / "model", "--output", out / "model.parquet", "--model", out / "model.json"]
        quick.run("predict", "--weights", *weights, *self.inputs, *test, "--resume", out / "resume", *files)

    def elsewhere(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Predict `rows` in a new process, in a folder with predict/model.json, weights and JPEGs alone."""
        kept = self.folder / "elsewhere"
        (kept / "predict").mkdir(parents=True)
        shutil.copy(self.folder / "predict" / "model.json", kept / "predict")
        for run in self.runs:
            (kept / "train" / run).mkdir(parents=True)
            shutil.copy(self.folder / "train" / run / "weights.safetensors", kept / "train" / run)
        shutil.copytree(self.folder / "jpeg", kept / "jpeg")
        known = ["image", "patient", "age", "sex", "site"]
        write_parquet(kept / "new.parquet", rows[known].assign(file=[f"jpeg/{image}.jpg" for image in rows["image"]]))
        fresh(kept, PREDICT)
        return pd.read_parquet(kept / "predicted.parquet")


@pytest.mark.parametrize("head", ["image_only", "image_and_metadata"])
@pytest.mark.parametrize("tta", [FLIPS, RANDOM], ids=lambda tta: tta["name"])
def test_files_and_jpegs_give_the_predictions_of_the_study_to_the_bit(tmp_path: Path, head: str, tta: dict) -> None:
    study = Study(tmp_path, head=head)
    expected = study.finish(tta)
    found = study.elsewhere(study.test)
    for column in ("image", "logit", "probability", "trained_prevalence", "patient_distance"):
        assert found[column].tolist() == expected[column].tolist(), column


@pytest.mark.parametrize("tta", [FLIPS, RANDOM], ids=lambda tta: tta["name"])
def test_the_mean_of_folds_is_that_of_the_study_within_float32(tmp_path: Path, tta: dict) -> None:
    """A fold's training predicts test in batches with its held-out images; sums depend on what is computed at once."""
    study = Study(tmp_path)
    expected = study.finish(tta, "fold_mean")
    found = study.elsewhere(study.test)
    np.testing.assert_allclose(found["logit"], expected["logit"], rtol=0, atol=1e-6)


def test_a_single_jpeg_has_the_logit_that_it_has_among_others(tmp_path: Path) -> None:
    """To the last digits of float32, for the same reason."""
    study = Study(tmp_path)
    expected = study.finish(FLIPS)
    found = study.elsewhere(study.test.iloc[[5]])
    np.testing.assert_allclose(found["logit"], expected["logit"][[5]], rtol=0, atol=1e-6)


def test_a_network_of_metadata_needs_no_jpeg(tmp_path: Path) -> None:
    study = Study(tmp_path, network="metadata_mlp")
    expected = study.finish(FLIPS)
    found = network_file.load(tmp_path / "predict" / "model.json").predict(study.test)
    assert found["logit"].tolist() == expected["logit"].tolist()
    assert found["patient_distance"].isna().all()


def test_one_training_can_predict_alone_and_changed_weights_are_refused(tmp_path: Path) -> None:
    study = Study(tmp_path, network="metadata_mlp")
    study.finish(FLIPS)
    path = tmp_path / "predict" / "model.json"
    run = pd.read_parquet(tmp_path / "predict" / "model" / "refit-seed-1.parquet")
    found = network_file.load(path).predict(study.test, "refit-seed-1")
    assert found["logit"].tolist() == run.loc[run["part"] == "test", "logit"].tolist()
    with pytest.raises(InputError, match="no run refit: give one of fold-0-seed-1, fold-0-seed-2, refit-seed-1"):
        network_file.load(path).predict(study.test, "refit")
    with pytest.raises(InputError, match="no column sex, which the model reads"):
        network_file.load(path).predict(study.test.drop(columns="sex"))
    first, second = (tmp_path / "train" / run / "weights.safetensors" for run in study.runs[:2])
    shutil.copy(second, first)
    with pytest.raises(
        InputError, match=r"fold-0-seed-1/weights\.safetensors: predict/.* was written for other weights"
    ):
        network_file.load(path)
    first.unlink()
    with pytest.raises(InputError, match=r"fold-0-seed-1/weights\.safetensors: no such file of weights"):
        network_file.load(path)


def test_files_prepared_by_the_preparation_of_a_store_are_its_images(tmp_path: Path) -> None:
    Study(tmp_path)
    store = ImageStore(tmp_path / "images.h5")
    assert store.preparation == PREPARATION
    files = [tmp_path / "jpeg" / f"{name}.jpg" for name in store.names]
    np.testing.assert_array_equal(Photographs(files, store.preparation).read([7, 3]), store.read([7, 3]))
    files[3].write_bytes(files[3].read_bytes()[:200])
    with pytest.raises(InputError, match=rf"{files[3]}: .*Give a complete image file"):
        Photographs(files, store.preparation).read([3])
