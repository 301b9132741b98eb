"""Fusions in files: a file is all that is needed to fuse predictions of new images.

    fusion = saved_fusion.load("fuse/stacked.json")
    predictions = fusion.predict({"cnn": cnn_predictions, "mlp": mlp_predictions}, table)

The file is `fuse/<name>.json`; its other entries describe the fit.
"""

from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Self, TypedDict

import numpy as np
import pandas as pd

from melanoma.common.errors import InputError
from melanoma.common.files import read_json
from melanoma.fusion.priors import corrected
from melanoma.fusion.rules import aligned, plain_mean, rank_among, weighted_mean, with_probability
from melanoma.fusion.stacking import Combination, StackValues, WeightsValues, combination_from, read_table
from melanoma.stats.metrics import Floats


class FusionValues(TypedDict):
    """A `Fusion` as a file holds it, with the version of scikit-learn that fitted it."""

    method: str
    members: list[str]
    context: bool
    weights: list[float] | None
    reference: dict[str, list[float]] | None
    combination: WeightsValues | StackValues | None
    folds: list[WeightsValues | StackValues]
    trained_prevalence: float  # null in a file stands for NaN
    prior_shifts: dict[str, float]
    scikit_learn: str


class FusionFile(TypedDict, total=False):
    """The content of `fuse/<name>.json`. Only a fitted fusion has context, rows and log_loss."""

    method: str
    weights: dict[str, float]  # of the members, or coefficients of the columns
    fitted: bool
    context: bool
    rows: int  # out-of-fold rows that it is fitted to
    log_loss: dict[str, float]  # out of fold, of each member and `fused`
    model: FusionValues


@dataclass(frozen=True)
class Fusion:
    """A fusion that can be applied to predictions of new images."""

    method: str
    members: list[str]  # in order
    context: bool = False  # whether it reads patient context
    weights: list[float] | None = None  # of each member, sum 1, if they are given
    reference: dict[str, list[float]] | None = None  # for a rank mean: sorted out-of-fold probabilities by member
    combination: Combination | None = None  # the fit to all out-of-fold predictions, if it is fitted
    folds: tuple[Combination, ...] = ()  # the fits that its own out-of-fold predictions come from
    trained_prevalence: float = np.nan  # share of melanomas that it was fitted to, NaN if it is not fitted
    prior_shifts: dict[str, float] = field(default_factory=dict)  # added to a member's log-odds (see `priors`)

    @classmethod
    def from_dict(cls, values: FusionValues) -> Self:
        """Rebuild the fusion from `to_dict`."""
        fitted = values["combination"]
        return cls(
            method=values["method"],
            members=values["members"],
            context=values["context"],
            weights=values["weights"],
            reference=values["reference"],
            combination=None if fitted is None else combination_from(fitted),
            folds=tuple(map(combination_from, values["folds"])),
            trained_prevalence=np.nan if fitted is None else values["trained_prevalence"],
            prior_shifts=values["prior_shifts"],
        )

    def to_dict(self) -> FusionValues:
        """Return values that a file can hold."""
        return {
            "method": self.method,
            "members": self.members,
            "context": self.context,
            "weights": self.weights,
            "reference": self.reference,
            "combination": None if self.combination is None else self.combination.to_dict(),
            "folds": [fit.to_dict() for fit in self.folds],
            "trained_prevalence": self.trained_prevalence,
            "prior_shifts": self.prior_shifts,
            "scikit_learn": version("scikit-learn"),
        }

    def predict(self, members: dict[str, pd.DataFrame], known: pd.DataFrame) -> pd.DataFrame:
        """Return fused predictions of new images, in the order of the first member.

        `members` maps each member to its predictions of the same images (see `table.read_predictions`). `known` has
        image and the metadata that the fusion reads. The patient context compares the images that are given. A rank
        mean ranks each image among the out-of-fold scores of the study, so one image is enough. Raises InputError if a
        member is missing.
        """
        missing = [name for name in self.members if name not in members]
        if missing:
            raise InputError(f"members without predictions: {', '.join(missing)}; give the predictions of all members")
        members = corrected({name: members[name] for name in self.members}, self.prior_shifts)
        return with_probability(members[self.members[0]], self._probability(members, known), self.trained_prevalence)

    def _probability(self, members: dict[str, pd.DataFrame], known: pd.DataFrame) -> Floats:
        if self.combination is not None:
            return self.combination.predict(read_table(members, known, self.context))
        if self.weights is not None:
            return weighted_mean(members, np.array(self.weights))
        if self.reference is not None:
            columns = zip(self.members, aligned(members).T, strict=True)
            ranks = [rank_among(np.array(self.reference[name]), scores) for name, scores in columns]
            return np.asarray(np.stack(ranks, axis=1).mean(axis=1))
        return plain_mean(members, self.method)


def rank_reference(members: dict[str, pd.DataFrame]) -> dict[str, list[float]]:
    """Return the scores among which a rank mean ranks new images: sorted out-of-fold probabilities by member."""
    out_of_fold = {name: rows.loc[rows["part"] == "train", "probability"] for name, rows in members.items()}
    return {name: sorted(scores.tolist()) for name, scores in out_of_fold.items()}


def load(path: str | Path) -> Fusion:
    """Read a fusion from its file, `fuse/<name>.json`."""
    return Fusion.from_dict(read_json(path)["model"])
