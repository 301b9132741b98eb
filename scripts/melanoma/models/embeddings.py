"""The features of all images of a store by a frozen network, in one file that models share."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypedDict
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.common.errors import InputError
from melanoma.common.files import damaged, read_intact, write_checked
from melanoma.images.store import Preparation


class FrozenNetwork(TypedDict):
    """What features are of: the `recipe` of the network, the SHA-256 of its weights file, and how images are prepared.

    The hash is empty for random weights.
    """

    recipe: dict[str, Any]
    weights_sha256: str
    images: Preparation


@dataclass(frozen=True)
class Embeddings:
    """The features `values` (n, width) float32 of the images (n,) by their names, in the order of the store."""

    images: list[str]
    values: NDArray[np.float32]
    network: FrozenNetwork

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file of `write`. Raises InputError if it is damaged."""
        data = io.BytesIO(read_intact(path))
        try:
            with np.load(data, allow_pickle=False) as file:
                return cls(file["images"].tolist(), file["values"], json.loads(str(file["network"])))
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise damaged(path, f"no file of embeddings ({error})") from error

    def write(self, path: Path) -> None:
        """Write an .npz file, and its SHA-256 beside it."""
        network, file = json.dumps(self.network, sort_keys=True), io.BytesIO()
        np.savez(file, images=np.array(self.images), values=self.values, network=np.array(network))
        write_checked(path, file.getvalue())

    def join(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return `table` with the features of its images as the column embedding, float32 (width,) in each row.

        Raises InputError if the table is of another store.
        """
        rows = table["row"].to_numpy(np.int64)
        known = np.array(self.images, dtype=object)
        if len(rows) and (rows.max() >= len(known) or (known[rows] != table["image"].to_numpy(object)).any()):
            raise InputError("the embeddings are of other images than the table. Delete them and run again")
        return table.assign(embedding=list(self.values[rows]))
