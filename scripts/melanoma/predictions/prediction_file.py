"""The file `predict/<model>.json`: how a trained network predicts."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

import pandas as pd

from melanoma.predictions.aggregate import predicting_runs


class Run(TypedDict):
    """One training of a network."""

    weights: str  # path of the file, relative to the folder of the prediction file
    sha256: str  # of that file
    test_from: int  # index of the first test image among the images that it predicts; random views depend on it


class PredictionFile(TypedDict):
    """The content of `predict/<model>.json`."""

    tta: Mapping[str, object]  # the settings of test-time augmentation
    test_runs: list[str]  # the trainings that predict the test
    runs: dict[str, Run]


def described(
    path: Path, weights: Mapping[str, Path], predictions: Mapping[str, pd.DataFrame], tta: Mapping[str, object]
) -> PredictionFile:
    """Return the content of the prediction file `path`, from the weights and the predictions of each training."""
    test_runs = [name for name in predicting_runs(predictions) if (predictions[name]["part"] == "test").any()]
    runs: dict[str, Run] = {
        name: {
            "weights": os.path.relpath(file, path.parent),
            "sha256": digest_of(file),
            "test_from": int((predictions[name]["part"] == "train").sum()),
        }
        for name, file in weights.items()
    }
    return {"tta": tta, "test_runs": test_runs, "runs": runs}


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file of any size, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
