"""The file `predict/<model>.json`: what prediction, and not training, decides of a network."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd


def described(
    path: Path, weights: Mapping[str, Path], predictions: Mapping[str, pd.DataFrame], tta: dict[str, Any]
) -> dict[str, Any]:
    """Return what the file `path` holds: `tta`, and of each training the file of weights, seen from there, its SHA-256,
    and `test_from`, the place of the first test image among those that it predicts, by which random views are drawn.

    `predictions` are those of each training; the ones that predict test are its test_runs.
    """
    test_runs = [name for name, rows in predictions.items() if (rows["part"] == "test").any()]
    runs = {
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
