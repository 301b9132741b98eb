"""Trains and predicts the tiny study of tiny.py by the scripts, as rules do."""

import hashlib
import time
from pathlib import Path

import pandas as pd

import quick
import tiny
from melanoma.models.classifier import Classifier
from melanoma.training import learner
from melanoma.training.optimizer import build_optimizer


class TinyStudy:
    """A study's files in a folder, and the commands of training and prediction as a rule would run them."""

    def __init__(self, folder: Path, **changes: object) -> None:
        self.folder = folder
        self.rows = tiny.table()
        self.rows.to_parquet(folder / "train.parquet")
        self.images = tiny.write_store(folder / "images.h5", self.rows)
        self.recipe = tiny.recipe(**changes)
        tiny.write_recipe(folder / "recipe.yaml", **changes)

    def options(self, name: str) -> list[object]:
        out = self.folder / name
        return [
            *("--recipe", self.folder / "recipe.yaml", "--train", self.folder / "train.parquet"),
            *("--images", self.images, "--resume", out / "resume"),
            *("--checkpoint-batches", self.recipe.checkpoint_batches),
            *("--weights", out / "weights.safetensors", "--history", out / "history.csv"),
        ]

    def train(self, name: str, *options: object, processes: int = 1) -> None:
        quick.run("train", *self.options(name), *(options or ("--fold", 0)), processes=processes)

    def predict(self, name: str, processes: int = 1) -> pd.DataFrame:
        out = self.folder / name
        quick.run("predict", *self.prediction_options({"run": out / "weights.safetensors"}, out), processes=processes)
        return pd.read_parquet(out / "runs" / "run.parquet")

    def prediction_options(self, weights: dict[str, Path], out: Path) -> list[object]:
        test = tiny.table(20, seed=9).drop(columns=["target", "fold", "diagnosis"])
        test["image"] = [f"TEST_{number}" for number in range(20)]
        test["patient"] = "IP_2"  # one of train's fold 1, too
        test.to_parquet(self.folder / "test.parquet")
        return [
            *("--weights", *(f"{run}={file}" for run, file in weights.items())),
            *("--train", self.folder / "train.parquet", "--test", self.folder / "test.parquet"),
            *("--images", self.images, "--resume", out / "predicted", "--runs", out / "runs"),
            *("--output", out / "predictions.parquet", "--model", out / "predictions.json"),
        ]

    def results(self, name: str) -> list[str]:
        self.predict(name)
        files = (self.folder / name / file for file in ("weights.safetensors", "history.csv", "runs/run.parquet"))
        return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]

    def undisturbed(self) -> tuple[list[str], float]:
        """Train without a fault; return the results and the seconds that it takes when all imports are in memory."""
        self.train("warm-up")
        started = time.monotonic()
        self.train("whole")
        seconds = time.monotonic() - started
        return self.results("whole"), seconds


def fuse_optimizers(monkeypatch) -> None:
    """Let a learner have a fused optimizer, as on a GPU."""

    def fused(*arguments):
        optimizer = build_optimizer(*arguments)
        for group in optimizer.param_groups:
            group["fused"] = True
        return optimizer

    monkeypatch.setattr(learner, "build_optimizer", fused)


def freeze_first_epoch(monkeypatch) -> None:
    """Let the network of the tiny study have a part that is frozen in the first epoch, as a backbone can be."""
    monkeypatch.setattr(learner.Learner, "_is_frozen", lambda self, epoch: epoch < 1)
    monkeypatch.setattr(Classifier, "freeze", lambda self, frozen: self.image.requires_grad_(not frozen))
