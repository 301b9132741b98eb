"""Labeled predictions of a simulated study, and the files that the evaluation reads of it."""

from pathlib import Path

import numpy as np
import pandas as pd

import evaluate as script
from in_process import call
from melanoma.common.files import read_json, write_parquet
from melanoma.config.study import Evaluate

QUICK = Evaluate(replicates=100)


def study(seed: int = 0) -> pd.DataFrame:
    """Make labeled predictions of 60 patients: folds 0 and 1 out of fold, and test."""
    generator = np.random.default_rng(seed)
    n = 300
    patient = np.arange(n) % 60
    target = (generator.random(n) < 0.3).astype(int)
    value = 2 * target - 2 + generator.normal(size=n)
    fold = np.array([-1, 0, 1])[patient % 3]
    return pd.DataFrame(
        {
            "image": [f"ISIC_{i:07d}" for i in range(n)],
            "patient": [f"IP_{p:02d}" for p in patient],
            "part": np.where(fold < 0, "test", "train"),
            "fold": fold.astype(np.int8),
            "logit": value,
            "probability": 1 / (1 + np.exp(-value)),
            "target": pd.array(target, "Int8"),
        }
    )


def write_study(folder: Path, table: pd.DataFrame) -> list[str]:
    """Write predictions and labels as the workflow does; return the options that name them."""
    write_parquet(folder / "cnn.parquet", table.drop(columns="target"))
    for part, name in (("train", "train"), ("test", "test_labels")):
        rows = table.loc[table["part"] == part, ["image", "target"]].astype({"target": "int8"})
        write_parquet(folder / f"{name}.parquet", rows)
    return [
        *("--predictions", f"cnn={folder / 'cnn.parquet'}"),
        *("--labels", str(folder / "test_labels.parquet"), "--train", str(folder / "train.parquet")),
    ]


def run_evaluate(folder: Path, *options: str) -> dict[str, dict[str, object]]:
    call(script, *options, "--output", folder / "metrics.json")
    return read_json(folder / "metrics.json")


def csv(folder: Path, text: str) -> Path:
    path = folder / "mine.csv"
    path.write_text(text)
    return path
