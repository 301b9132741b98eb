"""What a metadata model reads, as numbers, by what was seen in training alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.common.errors import InputError
from melanoma.data.metadata_encoder import MetadataEncoder

METADATA = ("age", "sex", "site")
COUNTS = {"images_per_patient": ("images_per_patient",), "size": ("width", "height")}  # columns of each input


@dataclass(frozen=True)
class InputEncoder:
    """Maps a table to float64 columns: `inputs` of age, sex, site, images_per_patient and size.

    Age, sex and site are as in MetadataEncoder. The others are logarithms in standard deviations from the training
    mean; where one is 0, which is unknown, it is at the mean and marked by a column of its own.
    """

    inputs: tuple[str, ...]
    metadata: MetadataEncoder
    logarithms: dict[str, tuple[float, float]]

    @classmethod
    def fit(cls, table: pd.DataFrame, inputs: Sequence[str]) -> Self:
        """Learn means, deviations and levels from the training rows; raise InputError where all sizes are unknown."""
        columns = [column for name in inputs for column in COUNTS.get(name, ())]
        logarithms = {}
        for column in columns:
            known = np.log(table.loc[table[column] > 0, column].to_numpy(float))
            if len(known) == 0:
                raise InputError(
                    f"no training image has a {column}: give the table columns width and height, or leave size out of"
                    " the model's inputs"
                )
            logarithms[column] = (float(known.mean()), float(known.std()) or 1.0)
        return cls(tuple(inputs), MetadataEncoder.fit(table), logarithms)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild an encoder from `to_dict`."""
        columns = [column for name in values["inputs"] for column in COUNTS.get(name, ())]
        logarithms = {column: (values[f"{column}_mean"], values[f"{column}_deviation"]) for column in columns}
        return cls(tuple(values["inputs"]), MetadataEncoder.from_dict(values), logarithms)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that a file can hold."""
        learned = self.metadata.to_dict() | {"inputs": list(self.inputs)}
        for column, (mean, deviation) in self.logarithms.items():
            learned |= {f"{column}_mean": mean, f"{column}_deviation": deviation}
        return learned

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        names = [name for name in self.metadata.names if _input_of(name) in self.inputs]
        return names + [name for column in self.logarithms for name in (column, f"{column} missing")]

    def transform(self, table: pd.DataFrame) -> NDArray[np.float64]:
        """Return the columns of `table`, shape (rows, len(names))."""
        read = [_input_of(name) in self.inputs for name in self.metadata.names]
        columns = [self.metadata.transform(table)[:, read].astype(np.float64)]
        for column, (mean, deviation) in self.logarithms.items():
            number = table[column].to_numpy(float)
            known = number > 0
            scaled = (np.log(number, where=known, out=np.full(len(table), mean)) - mean) / deviation
            columns.append(np.stack([scaled, ~known], axis=1))
        return np.concatenate(columns, axis=1)


def _input_of(name: str) -> str:
    """Return which input a column of the metadata encoder belongs to."""
    return name.partition("=")[0].partition(" ")[0]
