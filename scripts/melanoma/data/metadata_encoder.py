"""Encodes age, sex and site as numbers, by statistics of the training rows."""

from dataclasses import dataclass
from typing import Self, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray


class EncoderValues(TypedDict):
    """A `MetadataEncoder` as a file holds it."""

    age_mean: float
    age_deviation: float
    sexes: list[str]
    sites: list[str]


@dataclass(frozen=True)
class MetadataEncoder:
    """Maps age, sex and site of a table to float32 columns. Missing and unseen values have a column.

    Columns: age in standard deviations from the training mean (0 if missing), age missing, then a column for each sex,
    for a missing sex, for each site and for a missing site.
    """

    age_mean: float
    age_deviation: float
    sexes: tuple[str, ...]
    sites: tuple[str, ...]

    @classmethod
    def fit(cls, table: pd.DataFrame) -> Self:
        """Learn the mean and the levels from the training rows."""
        deviation = float(table["age"].std(ddof=0))
        return cls(
            age_mean=float(table["age"].mean()) if table["age"].notna().any() else 0.0,
            age_deviation=deviation if deviation > 0 else 1.0,
            sexes=tuple(sorted(table["sex"].dropna().unique())),
            sites=tuple(sorted(table["site"].dropna().unique())),
        )

    @classmethod
    def from_dict(cls, values: EncoderValues) -> Self:
        """Rebuild an encoder from `to_dict`."""
        return cls(values["age_mean"], values["age_deviation"], tuple(values["sexes"]), tuple(values["sites"]))

    def to_dict(self) -> EncoderValues:
        """Return values that a JSON file can hold."""
        return EncoderValues(
            age_mean=self.age_mean,
            age_deviation=self.age_deviation,
            sexes=list(self.sexes),
            sites=list(self.sites),
        )

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        levels = [f"sex={level}" for level in (*self.sexes, "missing")]
        return ["age", "age missing", *levels, *(f"site={level}" for level in (*self.sites, "missing"))]

    def transform(self, table: pd.DataFrame) -> NDArray[np.float32]:
        """Return the columns of `table`, shape (rows, len(names))."""
        age = (table["age"].to_numpy(float) - self.age_mean) / self.age_deviation
        missing = np.isnan(age)
        columns = [np.where(missing, 0.0, age)[:, None], missing[:, None]]
        columns += [_one_hot(table["sex"], self.sexes), _one_hot(table["site"], self.sites)]
        return np.concatenate(columns, axis=1).astype(np.float32)


def _one_hot(values: pd.Series, levels: tuple[str, ...]) -> NDArray[np.bool_]:
    known = np.stack([(values == level).fillna(False).to_numpy(bool) for level in levels], axis=1) if levels else None
    if known is None:
        return np.ones((len(values), 1), bool)
    return np.concatenate([known, ~known.any(axis=1, keepdims=True)], axis=1)
