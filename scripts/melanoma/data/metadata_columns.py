"""Encodes the inputs of a metadata model as numbers, by statistics of the training rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.common.errors import InputError
from melanoma.data.metadata_encoder import EncoderValues, MetadataEncoder

METADATA = ("age", "sex", "site")
COUNTS = {"images_per_patient": ("images_per_patient",), "size": ("width", "height")}  # columns of each input


class InputValues(TypedDict):
    """An `InputEncoder` as a file holds it; `logarithms` has the mean and the deviation of each column."""

    inputs: list[str]
    metadata: EncoderValues
    logarithms: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class InputEncoder:
    """Maps a table to float64 columns: `inputs` of age, sex, site, images_per_patient and size.

    Age, sex and site are those of MetadataEncoder. The others are logarithms in standard deviations from the training
    mean, each with a column that is 1 where the number is unknown (0); there, the logarithm is the mean.
    """

    inputs: tuple[str, ...]
    metadata: MetadataEncoder
    logarithms: dict[str, tuple[float, float]]

    @classmethod
    def fit(cls, table: pd.DataFrame, inputs: Sequence[str]) -> Self:
        """Learn means, deviations and levels from the training rows; raise InputError if all sizes are unknown."""
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
    def from_dict(cls, values: InputValues) -> Self:
        """Rebuild an encoder from `to_dict`."""
        logarithms = {column: (mean, deviation) for column, (mean, deviation) in values["logarithms"].items()}
        return cls(tuple(values["inputs"]), MetadataEncoder.from_dict(values["metadata"]), logarithms)

    def to_dict(self) -> InputValues:
        """Return values that a JSON file can hold."""
        return InputValues(inputs=list(self.inputs), metadata=self.metadata.to_dict(), logarithms=self.logarithms)

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        names = [name for name in self.metadata.names if _input_name(name) in self.inputs]
        return names + [name for column in self.logarithms for name in (column, f"{column} missing")]

    def transform(self, table: pd.DataFrame) -> NDArray[np.float64]:
        """Return the columns of `table`, shape (rows, len(names))."""
        read = [_input_name(name) in self.inputs for name in self.metadata.names]
        columns = [self.metadata.transform(table)[:, read].astype(np.float64)]
        for column, (mean, deviation) in self.logarithms.items():
            number = table[column].to_numpy(float)
            known = number > 0
            scaled = (np.log(number, where=known, out=np.full(len(table), mean)) - mean) / deviation
            columns.append(np.stack([scaled, ~known], axis=1))
        return np.concatenate(columns, axis=1)


def require_inputs(table: pd.DataFrame, inputs: Sequence[str], model: str) -> None:
    """Raise InputError if age, sex or site is an input of the model and missing in all rows."""
    empty = [name for name in METADATA if name in inputs and table[name].isna().all()]
    if empty:
        raise InputError(
            f"{model}: no training image has {' or '.join(empty)}, an input of the model. catalog/issues.csv says which"
            " tables lack the column, and names those that may be meant. Name the column in the source, leave it out of"
            " the model's inputs, or take a network with head image_only"
        )


def _input_name(name: str) -> str:
    """Return the input that a column of the metadata encoder belongs to."""
    return name.partition("=")[0].partition(" ")[0]
