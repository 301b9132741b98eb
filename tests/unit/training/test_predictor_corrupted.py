"""Corrupted images are predicted as prediction would predict a store of them."""

import shutil

import h5py
import numpy as np
import pandas as pd
import pytest

import predict
import predict_corrupted as script
from in_process import call
from melanoma.augment.corruptions import CORRUPTIONS, corrupt
from small_training import TinyStudy


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    study = TinyStudy(tmp_path_factory.mktemp("study"), epochs=1)
    study.train("run")
    return study


def prediction_options(study: TinyStudy) -> list[object]:
    weights = {"fold-0": study.folder / "run" / "weights.safetensors"}
    return study.prediction_options(weights, study.folder / "run")


def logits(study: TinyStudy) -> pd.DataFrame:
    given, out = prediction_options(study), study.folder / "corrupted"
    kept = [given[given.index(name) + place] for name in ("--weights", "--test", "--images") for place in (0, 1)]
    call(script, *kept, "--severities", 2, 5, "--resume", out / "resume", "--output", out / "cnn.parquet")
    return pd.read_parquet(out / "cnn.parquet")


def test_the_logits_are_those_of_a_store_of_corrupted_images(study, tmp_path):
    found = logits(study)
    counts = found.groupby(["corruption", "severity"]).size().to_dict()
    assert counts == {(corruption, severity): 20 for corruption in CORRUPTIONS for severity in (2, 5)}
    assert not (study.folder / "corrupted" / "resume").exists()
    hairy_store = shutil.copy(study.images, tmp_path / "hairy.h5")
    with h5py.File(hairy_store, "a") as file:
        named = zip(file["images"][:], file["image"].asstr()[:], strict=True)
        file["images"][:] = np.stack([corrupt(image, "hair", 5, name) for image, name in named])
    call(predict, *prediction_options(study), "--images", hairy_store)
    predicted = pd.read_parquet(study.folder / "run" / "runs" / "fold-0.parquet")
    test = predicted[predicted["part"] == "test"]
    hairy = found[(found["corruption"] == "hair") & (found["severity"] == 5)]
    np.testing.assert_array_equal(hairy["image"], test["image"])
    np.testing.assert_array_equal(hairy["logit"], test["logit"])
    assert found.groupby("image")["logit"].nunique().min() > len(CORRUPTIONS)


def test_after_a_kill_only_missing_predictions_are_computed(study, monkeypatch):
    whole, predict_rows, predicted = logits(study), script.predict_rows, []

    def stopping(*args):
        if len(predicted) == 5:
            raise KeyboardInterrupt
        predicted.append(args)
        return predict_rows(*args)

    monkeypatch.setattr(script, "predict_rows", stopping)
    with pytest.raises(KeyboardInterrupt):
        logits(study)
    monkeypatch.setattr(script, "predict_rows", lambda *args: predicted.append(args) or predict_rows(*args))
    pd.testing.assert_frame_equal(logits(study), whole)
    assert len(predicted) == 2 * len(CORRUPTIONS)
