"""A network kept in files, and its predictions for new photographs from these files alone.

    network = saved_network.load("predict/cnn.json")
    predictions = network.predict(table)

`predict/<model>.json` has all that prediction decides: the test-time augmentation, which trainings predict test, and
the file of weights of each training. The files of weights have all that training decides (see `TrainedNetwork`).
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from melanoma.common.errors import InputError
from melanoma.common.files import DIGEST_KEY, NO_DIGEST, damaged, intact, read_json, with_digest
from melanoma.compute.device import compute_device, set_up_torch
from melanoma.compute.distributed import Processes
from melanoma.config.augmentation import TTA
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.images.shards import Photographs
from melanoma.predictions.aggregate import aggregated
from melanoma.predictions.prediction_file import PredictionFile, digest_of
from melanoma.training.loader import Examples
from melanoma.training.predictor import TrainedNetwork, predict_rows

READ = ("image", "patient", "age", "sex", "site")
ABOUT = "trained_network"


@dataclass(frozen=True)
class NetworkModel:
    """All trainings of a network by name, with the contents of their files of weights.

    `test_runs` are the trainings that predict test images. Their seeds are averaged by logits, then folds by
    probabilities. `first_test` is the number of the first test image in each training, from which random views follow.
    """

    tta: TTA
    test_runs: list[str]
    runs: dict[str, TrainedNetwork]
    first_test: dict[str, int]

    @classmethod
    def from_dict(cls, values: PredictionFile, folder: Path) -> Self:
        """Read the weights that a file in `folder` names. Raises InputError if one is missing or has changed."""
        runs = {name: _read(folder / run["weights"], run["sha256"]) for name, run in values["runs"].items()}
        first_test = {name: run["test_from"] for name, run in values["runs"].items()}
        return cls(TTA.model_validate(values["tta"]), values["test_runs"], runs, first_test)

    def predict(self, table: pd.DataFrame, run: str | None = None, gpus: int = 0, threads: int = 1) -> pd.DataFrame:
        """Return predictions of new photographs, in the order of `table`, by one training or by those for test.

        `table` has image, patient, age, sex and site (missing if unknown), and for a network that reads images file,
        the path of a JPEG or PNG. The distance of an image from the others of its patient is among those of the table.
        Random views (`tta` random) depend on the place of an image in the table. The predictions can be a member of a
        fusion: they are those of `predictions.read_predictions`. Raises InputError if a column, a file or the run is
        missing.
        """
        if run is not None and run not in self.runs:
            raise InputError(f"the model has no run {run}: give one of {', '.join(self.runs)}")
        set_up_torch(threads)
        names = [run] if run else self.test_runs
        predictions = {name: self._predict(name, table, gpus) for name in names}
        return aggregated(predictions, pd.DataFrame({"image": [], "target": []}))

    def _predict(self, name: str, table: pd.DataFrame, gpus: int) -> pd.DataFrame:
        trained = self.runs[name]
        preparation = trained["images"]
        missing = sorted({*READ, *([] if preparation is None else ["file"])} - set(table))
        if missing:
            raise InputError(f"the table has no column {', '.join(missing)}, which the model reads; add it")
        table = table.assign(row=np.arange(len(table)))
        examples = Examples.of(table, MetadataEncoder.from_dict(trained["encoder"]), None, trained["size"])
        if preparation is not None:
            photographs = Photographs(table["file"].tolist(), preparation)
            examples = replace(examples, store=photographs, first=self.first_test[name])
        device = compute_device(gpus, trained["recipe"]["precision"])
        rows = table[["image", "patient"]].assign(part="test", fold=np.int8(-1), source=None)
        return predict_rows(trained, rows, examples, self.tta, device, 0, Processes())


def load(path: str | Path) -> NetworkModel:
    """Read a network from its file, `predict/<model>.json`, and the files of weights that it names."""
    return NetworkModel.from_dict(read_json(path), Path(path).parent)


def _read(path: Path, digest: str) -> TrainedNetwork:
    if not path.exists():
        raise InputError(f"{path}: no such file of weights; put it where predict/<model>.json names it")
    if digest_of(path) != digest:
        raise InputError(f"{path}: predict/<model>.json was written for other weights; run the workflow again")
    return from_safetensors(path.read_bytes(), path)


def to_safetensors(trained: TrainedNetwork) -> bytes:
    """Return the content of a file of weights: the weights, and in the header all else as JSON, with a SHA-256."""
    about = {name: value for name, value in trained.items() if name != "weights"} | {DIGEST_KEY: NO_DIGEST}
    weights = {name: tensor.contiguous() for name, tensor in trained["weights"].items()}
    return with_digest(save_tensors(weights, {ABOUT: json.dumps(about)}))


def from_safetensors(data: bytes, path: str | Path) -> TrainedNetwork:
    """Return the trained network of a file of weights, on the CPU. Raises InputError if the file is damaged."""
    intact(data, path)
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        about: dict[str, Any] = json.loads(header["__metadata__"][ABOUT])
        weights = load_tensors(data)
        del about[DIGEST_KEY]
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise damaged(path, f"not the weights of a network of this workflow ({error})") from error
    return cast(TrainedNetwork, about | {"weights": weights})
