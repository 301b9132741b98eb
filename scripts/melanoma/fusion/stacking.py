"""Fitted fusions: weights, logistic regression or gradient boosting, fitted to out-of-fold predictions.

An out-of-fold prediction of a fusion must not come from a fit to a label of the same patient. So the out-of-fold rows
are divided into folds by patient once more, and each fold is fused by a fit to the others (Wolpert, Neural Networks
5:241, 1992; van der Laan, Polley and Hubbard, Statistical Applications in Genetics and Molecular Biology 6:25, 2007).
The test is fused by a fit to all of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self, TypedDict, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.common.errors import InputError
from melanoma.config.study import FusionSettings
from melanoma.data.metadata_columns import InputEncoder, InputValues, require_inputs
from melanoma.fusion.rules import KEYS, aligned, finite_logits, simplex_minimum
from melanoma.models.plain_classifiers import Classifier, ClassifierValues, Linear, plain_classifier, read_classifier
from melanoma.predictions.patient_context import (
    DISTANCE_NAMES,
    NAMES,
    distance_within_patient,
    images_per_patient,
    patients_of_part,
    within_patient,
)
from melanoma.predictions.table import join_labels
from melanoma.stats.calibration import patient_folds
from melanoma.stats.metrics import Floats

STACKED = ("logistic", "gradient_boosting")
METADATA = ("age", "sex", "site", "width", "height")


@final
class WeightsValues(TypedDict):
    """`Weights` as a file holds them."""

    weights: dict[str, float]  # by member


@final
class StackValues(TypedDict):
    """A `Stack` as a file holds it."""

    columns: list[str]  # of `fusion_table`
    encoder: InputValues  # of the metadata
    classifier: ClassifierValues


class Combination(Protocol):
    """A fitted fusion."""

    def predict(self, table: pd.DataFrame) -> Floats:
        """Return the fused probabilities of a table of `fusion_table`, (n,)."""

    def summary(self) -> dict[str, float]:
        """Return the weight or coefficient of each column by its name; empty if there is no such number."""

    def to_dict(self) -> WeightsValues | StackValues:
        """Return values from which `combination_from` rebuilds the fusion."""


Fit = Callable[[pd.DataFrame], Combination]


@dataclass(frozen=True)
class Weights:
    """The weighted mean of the members' probabilities with the lowest log loss."""

    weights: dict[str, float]

    @classmethod
    def from_dict(cls, values: WeightsValues) -> Self:
        """Rebuild the weights from `to_dict`."""
        return cls(values["weights"])

    def to_dict(self) -> WeightsValues:
        """Return the weights."""
        return {"weights": self.weights}

    @classmethod
    def fit(cls, table: pd.DataFrame, members: Sequence[str]) -> Self:
        """Fit the weights, >= 0 with sum 1, to labeled rows."""
        columns = table[[f"probability {name}" for name in members]].to_numpy()
        return cls(dict(zip(members, simplex_minimum(columns, table["target"].to_numpy()).tolist(), strict=True)))

    def predict(self, table: pd.DataFrame) -> Floats:
        """Return the weighted mean."""
        columns = table[[f"probability {name}" for name in self.weights]].to_numpy()
        return np.asarray(columns @ np.array(list(self.weights.values()))).clip(0.0, 1.0)

    def summary(self) -> dict[str, float]:
        """Return the weights."""
        return self.weights


@dataclass(frozen=True)
class Stack:
    """A classifier that reads the members' logits, the patient context and metadata."""

    columns: tuple[str, ...]
    encoder: InputEncoder
    classifier: Classifier

    @classmethod
    def from_dict(cls, values: StackValues) -> Self:
        """Rebuild the stack from `to_dict`."""
        encoder, classifier = InputEncoder.from_dict(values["encoder"]), read_classifier(values["classifier"])
        return cls(tuple(values["columns"]), encoder, classifier)

    def to_dict(self) -> StackValues:
        """Return the columns, the encoder and the classifier."""
        encoder, classifier = self.encoder.to_dict(), self.classifier.to_dict()
        return {"columns": list(self.columns), "encoder": encoder, "classifier": classifier}

    @classmethod
    def fit(
        cls, table: pd.DataFrame, columns: Sequence[str], inputs: Sequence[str], classifier: Callable[[], Any]
    ) -> Self:
        """Fit encoder and classifier to labeled rows."""
        require_inputs(table, inputs, "fusion")
        encoder = InputEncoder.fit(table, inputs)
        inputs_read = _encoded(table, columns, encoder)
        fitted = classifier().fit(inputs_read, table["target"].to_numpy())
        return cls(tuple(columns), encoder, plain_classifier(fitted))

    def predict(self, table: pd.DataFrame) -> Floats:
        """Return the classifier's probabilities."""
        return self.classifier.predict(_encoded(table, self.columns, self.encoder))

    def summary(self) -> dict[str, float]:
        """Return the coefficients of a logistic regression on standardized columns; empty for other classifiers."""
        if not isinstance(self.classifier, Linear):
            return {}
        names = [*self.columns, *self.encoder.names]
        return dict(zip(names, self.classifier.coefficients.tolist(), strict=True))


def combination_from(values: WeightsValues | StackValues) -> Combination:
    """Rebuild a fitted fusion from its `to_dict`."""
    return Stack.from_dict(values) if "classifier" in values else Weights.from_dict(values)


def _encoded(table: pd.DataFrame, columns: Sequence[str], encoder: InputEncoder) -> Floats:
    """Return what the classifier of a stack reads, (n, columns)."""
    return np.concatenate([table[list(columns)].to_numpy(float), encoder.transform(table)], axis=1)


def fusion_table(
    members: dict[str, pd.DataFrame], train: pd.DataFrame, test: pd.DataFrame, context: bool
) -> pd.DataFrame:
    """Return the table to which a fusion is fitted, with the images and the order of the first member.

    `train` and `test` have the metadata of the images, and train has their targets. The columns are those of
    `read_table` and target, NaN for the test. Raises InputError if there are no out-of-fold predictions.
    """
    first = next(iter(members.values()))
    out_of_fold = first[first["part"] == "train"]
    if out_of_fold.empty:
        raise InputError("the fusion cannot be fitted: no out-of-fold predictions (part 'train'); run folds")
    join_labels(out_of_fold, train, "fusion", subset=True)
    return read_table(members, pd.concat([train, test], ignore_index=True), context)


def read_table(members: dict[str, pd.DataFrame], known: pd.DataFrame, context: bool) -> pd.DataFrame:
    """Return the table that a fitted fusion reads, with the images and the order of the first member.

    `known` has the metadata of the images. The columns are image, part, fold, patient, those of target and `METADATA`
    that `known` has, images_per_patient, and for each member `probability NAME` and `logit NAME`. With context, each
    member also has `difference NAME`, `z NAME` and `rank NAME` (see `patient_context.within_patient`). If its
    predictions have distances, it also has `distance NAME`, `distance z NAME` and `distance rank NAME` (see
    `patient_context.distance_within_patient`). Only images of the same part count as images of a patient.
    """
    first = next(iter(members.values()))
    known = known[["image", *(column for column in ("target", *METADATA) if column in known)]]
    table = first[[*KEYS, "patient"]].reset_index(drop=True).merge(known, on="image", how="left", validate="1:1")
    owner = patients_of_part(table)
    columns: dict[str, Floats | NDArray[np.int64]] = {"images_per_patient": images_per_patient(owner)}
    distances = aligned(members, "patient_distance").T
    by_member = zip(members, aligned(members).T, finite_logits(members).T, distances, strict=True)
    for name, probability, logit, distance in by_member:
        columns |= {f"probability {name}": probability, f"logit {name}": logit}
        by_kind = _context(logit, distance, owner) if context else {}
        columns |= {f"{kind} {name}": values for kind, values in by_kind.items()}
    return pd.concat([table, pd.DataFrame(columns)], axis=1)


def _context(logit: Floats, distance: Floats, owner: pd.Series) -> dict[str, Floats]:
    """Return the patient context of a member by its kind, without distances if the member has none (NaN)."""
    context = dict(zip(NAMES, within_patient(logit, owner).T, strict=True))
    if np.isnan(distance).any():
        return context
    return context | dict(zip(DISTANCE_NAMES, distance_within_patient(distance, owner).T, strict=True))


def fit_function(settings: FusionSettings) -> Fit:
    """Return the function that fits a weighted, logistic or gradient_boosting fusion to a table of `fusion_table`."""
    members, context = settings.members, settings.context
    if settings.method == "weighted":
        return lambda table: Weights.fit(table, members)
    counted = ["images_per_patient"] if context and settings.image_count else []
    inputs = list(dict.fromkeys([*settings.inputs, *counted]))
    return lambda table: Stack.fit(table, _columns(table, members, context), inputs, lambda: _classifier(settings))


def _columns(table: pd.DataFrame, members: Sequence[str], context: bool) -> list[str]:
    """Return the columns of `fusion_table` that a stack reads of its members."""
    columns = []
    for name in members:
        kinds = ["logit", *(NAMES if context else ())]
        kinds += DISTANCE_NAMES if context and f"distance {name}" in table else ()
        columns += [f"{kind} {name}" for kind in kinds]
    return columns


class CrossFits(NamedTuple):
    """The fused predictions and the fits that they come from."""

    probability: Floats  # of each row, (n,)
    combination: Combination  # fitted to all of train; it fuses the test
    folds: list[Combination]  # for each fold, fitted to the other folds; it fuses the fold


def cross_fits(table: pd.DataFrame, fit: Fit, folds: int, seed: int) -> CrossFits:
    """Fuse each fold of train (`calibration.patient_folds`) by a fit to the others, and the test by a fit to all.

    Raises InputError if train has too few patients.
    """
    is_train = (table["part"] == "train").to_numpy()
    train = table[is_train]
    target = train["target"].to_numpy(np.int64)
    fold = patient_folds(target, train["patient"].fillna(train["image"]).to_numpy(str), folds, seed)
    if len(np.unique(fold)) < 2 or any(len(np.unique(target[fold != number])) < 2 for number in np.unique(fold)):
        raise InputError(
            "the fusion cannot be fitted: of the patients with out-of-fold predictions, at least two must have a"
            " melanoma and at least two must have none; run more folds (split.run_folds), or fuse by a mean or given"
            " weights"
        )
    fused = np.empty(len(table))
    out_of_fold = np.empty(len(train))
    fits = []
    for number in np.unique(fold):
        rows = fold == number
        fits.append(fit(train[~rows]))
        out_of_fold[rows] = fits[-1].predict(train[rows])
    combination = fit(train)
    fused[is_train] = out_of_fold
    if not is_train.all():
        fused[~is_train] = combination.predict(table[~is_train])
    return CrossFits(fused, combination, fits)


def _classifier(settings: FusionSettings) -> Any:
    if settings.method == "gradient_boosting":
        from melanoma.models.tabular import build_boosting

        return build_boosting(settings.gradient_boosting, settings.seed)
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
