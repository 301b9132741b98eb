"""A network kept whole in files, and applied to new photographs from these files alone.

    model = network_file.load("predict/cnn.json")
    predictions = model.predict(table)

`predict/<model>.json` says what prediction decides: the test-time augmentation, and which trainings predict what, each
by its file of weights. What training decides is in those files: recipe, encoder, preparation of images, weights.
"""

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch

from melanoma.common.errors import InputError
from melanoma.common.files import read_json
from melanoma.compute.device import device_of, set_up_torch
from melanoma.compute.distributed import Processes
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.images.shards import Photographs
from melanoma.predictions.aggregate import aggregated
from melanoma.predictions.prediction_file import digest_of
from melanoma.training.loader import Examples
from melanoma.training.predictor import Predictor, predicted, restored

READ = ("image", "patient", "age", "sex", "site")


@dataclass(frozen=True)
class NetworkModel:
    """All trainings of a network by their names, as `weights.pt` holds them, and how new images are predicted.

    `test_runs` are the trainings that predict test: their seeds are averaged by logits, then folds by probabilities.
    `test_from` is the place of the first new image to each training, by which random views are drawn.
    """

    tta: dict[str, Any]
    test_runs: list[str]
    runs: dict[str, dict[str, Any]]
    test_from: dict[str, int]

    @classmethod
    def from_dict(cls, values: dict[str, Any], folder: Path) -> Self:
        """Read the weights that a file in `folder` names; raise InputError where one is gone or is another."""
        runs = {name: _read(folder / kept["weights"], kept["sha256"]) for name, kept in values["runs"].items()}
        places = {name: kept["test_from"] for name, kept in values["runs"].items()}
        return cls(values["tta"], values["test_runs"], runs, places)

    def predict(self, table: pd.DataFrame, run: str | None = None, gpus: int = 0, threads: int = 1) -> pd.DataFrame:
        """Return predictions of new photographs, in the order of `table`: by one training, or as test is predicted.

        `table` has image, patient, age, sex and site (missing where unknown), and for a network that sees images
        file, the path of a JPEG or PNG. How unlike its patient's other images one is, is told among those of the table.
        Random views (`tta` random) depend on an image's place in the table. The predictions can be a member of a
        fusion: they are as those of `predictions.read_predictions`. Raises InputError where a column, a file or the run
        is missing.
        """
        if run is not None and run not in self.runs:
            raise InputError(f"the model has no run {run}: give one of {', '.join(self.runs)}")
        set_up_torch(threads)
        names = [run] if run else self.test_runs
        found = {name: self._predict(name, table, gpus) for name in names}
        return aggregated(found, pd.DataFrame({"image": [], "target": []}))

    def _predict(self, name: str, table: pd.DataFrame, gpus: int) -> pd.DataFrame:
        trained = self.runs[name]
        sees_images = trained["images"] is not None
        missing = sorted({*READ, *(["file"] if sees_images else [])} - set(table))
        if missing:
            raise InputError(f"the table has no column {', '.join(missing)}, which the model reads; add it")
        table = table.assign(row=np.arange(len(table)))
        recipe = trained["recipe"] | {"gpus": gpus, "nodes": 1}
        examples = Examples.of(table, MetadataEncoder.from_dict(trained["encoder"]), None, trained["size"])
        if sees_images:
            photographs = Photographs(table["file"].tolist(), trained["images"])
            examples = replace(examples, store=photographs, first=self.test_from[name])
        device = device_of(recipe, 0)
        model = restored(trained, examples.metadata.shape[1]).to(device, memory_format=torch.channels_last)
        logits, embeddings = Predictor(model, recipe, device, 0, Processes()).predict(examples, self.tta)
        rows = table[["image", "patient"]].assign(part="test", fold=np.int8(-1), source=None)
        return predicted(rows, logits, embeddings, trained["trained_prevalence"])


def load(path: str | Path) -> NetworkModel:
    """Read a network from the file that the workflow keeps it by, `predict/<model>.json`, and its files of weights."""
    return NetworkModel.from_dict(read_json(path), Path(path).parent)


def _read(path: Path, digest: str) -> dict[str, Any]:
    if not path.exists():
        raise InputError(f"{path}: no such file of weights; put it there, as predict/<model>.json names it")
    if digest_of(path) != digest:
        raise InputError(f"{path}: not the weights that predict/<model>.json was written for; run the workflow again")
    return torch.load(io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True)
