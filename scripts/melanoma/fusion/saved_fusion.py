"""A fusion kept whole in a file, and applied to new images from that file alone.

    fusion = fusion_file.load("fuse/stacked.json")
    predictions = fusion.predict({"cnn": of_cnn, "mlp": of_mlp}, table)

The file is `fuse/<name>.json`, whose other entries tell of the fit.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import sklearn

from melanoma.common.errors import InputError
from melanoma.common.files import read_json
from melanoma.fusion.rules import aligned, plain_mean, rank_among, weighted_mean, with_probability
from melanoma.fusion.stacking import Combination, combination_of, read_table


@dataclass(frozen=True)
class Fusion:
    """What applies a fusion: its method, the members in order, and what the method needs.

    weights: one for each member, sum 1, of a weighted fusion whose weights are given. reference: each member's
    out-of-fold probabilities, rising, of a rank mean. combination: of a fusion that is fitted, the fit to all
    out-of-fold predictions; folds: the fits that its own out-of-fold predictions are from. context: whether patient
    context is read. trained_prevalence: the share of melanomas that it was fitted to, NaN where it is not fitted.
    """

    method: str
    members: list[str]
    context: bool = False
    weights: list[float] | None = None
    reference: dict[str, list[float]] | None = None
    combination: Combination | None = None
    folds: tuple[Combination, ...] = ()
    trained_prevalence: float = np.nan

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild it from `to_dict`."""
        plain = {name: values[name] for name in ("method", "members", "context", "weights", "reference")}
        fitted = values["combination"]
        return cls(
            **plain,
            combination=None if fitted is None else combination_of(fitted),
            folds=tuple(map(combination_of, values["folds"])),
            trained_prevalence=np.nan if fitted is None else values["trained_prevalence"],
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that a file can hold."""
        return {
            "method": self.method,
            "members": self.members,
            "context": self.context,
            "weights": self.weights,
            "reference": self.reference,
            "combination": None if self.combination is None else self.combination.to_dict(),
            "folds": [fit.to_dict() for fit in self.folds],
            "trained_prevalence": self.trained_prevalence,
            "scikit_learn": sklearn.__version__,
        }

    def predict(self, members: dict[str, pd.DataFrame], known: pd.DataFrame) -> pd.DataFrame:
        """Return fused predictions of new images, in the order of the first member.

        `members` maps each member to its predictions of the same images (see `predictions.read_predictions`); `known`
        has image and the metadata that the fusion reads. A patient's context is made of the images that are given. A
        rank mean ranks each image among the study's out-of-fold scores, so it can be applied to a single one. Raises
        InputError where a member is missing.
        """
        missing = [name for name in self.members if name not in members]
        if missing:
            raise InputError(f"the fusion has members without predictions: {', '.join(missing)}; give those of all")
        members = {name: members[name] for name in self.members}
        return with_probability(members[self.members[0]], self._probability(members, known), self.trained_prevalence)

    def _probability(self, members: dict[str, pd.DataFrame], known: pd.DataFrame) -> np.ndarray:
        if self.combination is not None:
            return self.combination.predict(read_table(members, known, self.context))
        if self.weights is not None:
            return weighted_mean(members, np.array(self.weights))
        if self.reference is not None:
            columns = zip(self.members, aligned(members).T, strict=True)
            ranks = [rank_among(np.array(self.reference[name]), scores) for name, scores in columns]
            return np.stack(ranks, axis=1).mean(axis=1)
        return plain_mean(members, self.method)


def reference_of(members: dict[str, pd.DataFrame]) -> dict[str, list[float]]:
    """Return what a rank mean ranks new images among: each member's out-of-fold probabilities, rising."""
    out_of_fold = {name: rows.loc[rows["part"] == "train", "probability"] for name, rows in members.items()}
    return {name: sorted(scores.tolist()) for name, scores in out_of_fold.items()}


def load(path: str | Path) -> Fusion:
    """Read a fusion from the file that the workflow keeps it in, `fuse/<name>.json`."""
    return Fusion.from_dict(read_json(path)["model"])
