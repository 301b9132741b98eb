"""What a training is: its recipe, its images, and the number of its epochs."""

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from melanoma.common.files import sha256
from melanoma.config.facts import training_recipe
from melanoma.config.recipe import Recipe
from melanoma.images.store import ImageStore
from melanoma.models.pretrained import weights_digest


@dataclass(frozen=True)
class Run:
    """One training by `recipe` on the rows of `table`, evaluated after each epoch on `validation` unless it is None.

    `workers` processes load the batches. With 0, the training process loads them itself.
    """

    recipe: Recipe
    table: pd.DataFrame
    validation: pd.DataFrame | None
    images: Path | None
    epochs: int
    workers: int = 0

    def stamp(self) -> str:
        """Return a hash of all that decides the result: recipe, pretrained weights, rows, images, number of epochs."""
        parts = [
            json.dumps(training_recipe(self.recipe), sort_keys=True),
            weights_digest(self.recipe),
            _digest(self.table),
            "" if self.validation is None else _digest(self.validation),
            "" if self.images is None else ImageStore(self.images).digest,
            str(self.epochs),
        ]
        return sha256("\n".join(parts).encode())


def _digest(table: pd.DataFrame) -> str:
    return sha256(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
