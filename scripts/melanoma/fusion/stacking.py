"""Fusions that learn: weights, logistic regression or gradient boosting, fitted to out-of-fold predictions.

An out-of-fold prediction of a fusion must not come from a fit to its own label, or to that of another image of its
patient. So the out-of-fold rows are dealt into folds once more, by patient, and each is fused by a fit to the others
(Wolpert, Neural Networks 5:241, 1992; van der Laan, Polley and Hubbard, Statistical Applications in Genetics and
Molecular Biology 6:25, 2007). Test is fused by a fit to all of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.common.errors import InputError
from melanoma.data.metadata_columns import InputEncoder
from melanoma.fusion.rules import KEYS, aligned, finite_logits, simplex_minimum
from melanoma.models.plain_classifiers import Classifier, Linear, plain_classifier, read_classifier
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

STACKED = ("logistic", "gradient_boosting")
METADATA = ("age", "sex", "site", "width", "height")


class Combination(Protocol):
    """A fitted fusion."""

    def predict(self, table: pd.DataFrame) -> NDArray[np.float64]:
        """Return the fused probabilities of a table of `fusion_table`, (n,)."""
        ...

    def summary(self) -> dict[str, float]:
        """Return how much each column counts, by name; empty where that is no one number."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that `combination_of` makes the same of."""
        ...


Fit = Callable[[pd.DataFrame], Combination]


@dataclass(frozen=True)
class Weights:
    """The weighted mean of the members' probabilities with the least log loss."""

    weights: dict[str, float]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild it from `to_dict`."""
        return cls(values["weights"])

    def to_dict(self) -> dict[str, Any]:
        """Return the weights."""
        return {"weights": self.weights}

    @classmethod
    def fit(cls, table: pd.DataFrame, members: Sequence[str]) -> Self:
        """Fit the weights, >= 0 with sum 1, to labeled rows."""
        columns = table[[f"probability {name}" for name in members]].to_numpy()
        return cls(dict(zip(members, simplex_minimum(columns, table["target"].to_numpy()).tolist(), strict=True)))

    def predict(self, table: pd.DataFrame) -> NDArray[np.float64]:
        """Return the weighted mean."""
        columns = table[[f"probability {name}" for name in self.weights]].to_numpy()
        return (columns @ np.array(list(self.weights.values()))).clip(0.0, 1.0)

    def summary(self) -> dict[str, float]:
        """Return the weights."""
        return self.weights


@dataclass(frozen=True)
class Stack:
    """A classifier of the members' logits, of what tells them from their patient's others, and of metadata."""

    columns: tuple[str, ...]
    encoder: InputEncoder
    classifier: Classifier

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild it from `to_dict`."""
        encoder, classifier = InputEncoder.from_dict(values["encoder"]), read_classifier(values["classifier"])
        return cls(tuple(values["columns"]), encoder, classifier)

    def to_dict(self) -> dict[str, Any]:
        """Return the columns of `fusion_table` that are read, the encoder of the others, and the classifier."""
        encoder, classifier = self.encoder.to_dict(), self.classifier.to_dict()
        return {"columns": list(self.columns), "encoder": encoder, "classifier": classifier}

    @classmethod
    def fit(
        cls, table: pd.DataFrame, columns: Sequence[str], inputs: Sequence[str], classifier: Callable[[], Any]
    ) -> Self:
        """Fit encoder and classifier to labeled rows."""
        encoder = InputEncoder.fit(table, inputs)
        read = _encoded(table, columns, encoder)
        return cls(tuple(columns), encoder, plain_classifier(classifier().fit(read, table["target"].to_numpy())))

    def predict(self, table: pd.DataFrame) -> NDArray[np.float64]:
        """Return the classifier's probabilities."""
        return self.classifier.predict(_encoded(table, self.columns, self.encoder))

    def summary(self) -> dict[str, float]:
        """Return the coefficients of a logistic regression, for columns in standard deviations; else nothing."""
        if not isinstance(self.classifier, Linear):
            return {}
        names = [*self.columns, *self.encoder.names]
        return dict(zip(names, self.classifier.coefficients.tolist(), strict=True))


def combination_of(values: dict[str, Any]) -> Combination:
    """Rebuild a fitted fusion from its `to_dict`."""
    return (Stack if "classifier" in values else Weights).from_dict(values)


def _encoded(table: pd.DataFrame, columns: Sequence[str], encoder: InputEncoder) -> NDArray[np.float64]:
    """What a stack's classifier reads, (n, columns)."""
    return np.concatenate([table[list(columns)].to_numpy(float), encoder.transform(table)], axis=1)


def fusion_table(
    members: dict[str, pd.DataFrame], train: pd.DataFrame, test: pd.DataFrame, context: bool
) -> pd.DataFrame:
    """Return what a fusion may read of each image that the members predict, in the first one's order.

    `train` and `test` hold each image's metadata and, for train alone, its target. The columns are target (NaN for
    test) and those of `read_table`. Raises InputError where there is nothing to fit to.
    """
    first = next(iter(members.values()))
    out_of_fold = first[first["part"] == "train"]
    if out_of_fold.empty:
        raise InputError("the fusion cannot be fitted: no out-of-fold predictions (part 'train'); run folds")
    join_labels(out_of_fold, train, "fusion", subset=True)
    return read_table(members, pd.concat([train, test], ignore_index=True), context)


def read_table(members: dict[str, pd.DataFrame], known: pd.DataFrame, context: bool) -> pd.DataFrame:
    """Return what a fitted fusion may read of each image that the members predict, in the first one's order.

    `known` holds each image's metadata. The columns are image, part, fold, patient, target and those of `METADATA`,
    where they are there, images_per_patient, and for each member `probability NAME`, `logit NAME` and with context
    `difference NAME`, `z NAME` and `rank NAME` (see `context.within_patient`) and, where its predictions have
    distances, `distance NAME`, `distance z NAME` and `distance rank NAME` (see `context.distance_within_patient`). A
    patient's images are those of the same part.
    """
    first = next(iter(members.values()))
    known = known[["image", *(column for column in ("target", *METADATA) if column in known)]]
    table = first[[*KEYS, "patient"]].reset_index(drop=True).merge(known, on="image", how="left", validate="1:1")
    owner = patients_of_part(table)
    columns: dict[str, NDArray[Any]] = {"images_per_patient": images_per_patient(owner)}
    distances = aligned(members, "patient_distance").T
    by_member = zip(members, aligned(members).T, finite_logits(members).T, distances, strict=True)
    for name, probability, logit, distance in by_member:
        columns |= {f"probability {name}": probability, f"logit {name}": logit}
        apart = _context(logit, distance, owner) if context else {}
        columns |= {f"{kind} {name}": values for kind, values in apart.items()}
    return pd.concat([table, pd.DataFrame(columns)], axis=1)


def _context(logit: NDArray[Any], distance: NDArray[Any], owner: pd.Series) -> dict[str, NDArray[np.float64]]:
    """A member's patient context by its kind, without that of the distance where the member has none, NaN."""
    found = dict(zip(NAMES, within_patient(logit, owner).T, strict=True))
    if np.isnan(distance).any():
        return found
    return found | dict(zip(DISTANCE_NAMES, distance_within_patient(distance, owner).T, strict=True))


def fit_of(settings: dict[str, Any]) -> Fit:
    """Return how a fusion is fitted to a table of `fusion_table`.

    `settings`: method (weighted, logistic or gradient_boosting), members and, for a stack, inputs (see
    `inputs.InputEncoder`), context, seed and gradient_boosting (see `tabular.build_boosting`).
    """
    members = settings["members"]
    if settings["method"] == "weighted":
        return lambda table: Weights.fit(table, members)
    inputs = list(dict.fromkeys([*settings["inputs"], *(["images_per_patient"] if settings["context"] else [])]))
    return lambda table: Stack.fit(
        table, _columns(table, members, settings["context"]), inputs, lambda: _classifier(settings)
    )


def _columns(table: pd.DataFrame, members: Sequence[str], context: bool) -> list[str]:
    """The columns of `fusion_table` that a stack reads of its members."""
    columns = []
    for name in members:
        kinds = ["logit", *(NAMES if context else ())]
        kinds += DISTANCE_NAMES if context and f"distance {name}" in table else ()
        columns += [f"{kind} {name}" for kind in kinds]
    return columns


class CrossFits(NamedTuple):
    """The fused probability of every row, (n,); the fit to all of train, which fused test; and for each fold the fit
    to the others, which fused the fold.
    """

    probability: NDArray[np.float64]
    combination: Combination
    folds: list[Combination]


def cross_fits(table: pd.DataFrame, fit: Fit, folds: int, seed: int) -> CrossFits:
    """Fuse each row of train by a fit to the other folds, of `calibration.patient_folds`, and test by one to all.

    Raises InputError where train has too few patients for that.
    """
    is_train = (table["part"] == "train").to_numpy()
    train = table[is_train]
    target = train["target"].to_numpy(np.int64)
    fold = patient_folds(target, train["patient"].fillna(train["image"]).to_numpy(str), folds, seed)
    if len(np.unique(fold)) < 2 or any(len(np.unique(target[fold != number])) < 2 for number in np.unique(fold)):
        raise InputError(
            "the fusion cannot be fitted: among the out-of-fold predictions two patients or more must have a melanoma,"
            " and two or more none; run more folds (split.run_folds), or fuse by a mean or given weights"
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


def _classifier(settings: dict[str, Any]) -> Any:
    if settings["method"] == "gradient_boosting":
        from melanoma.config.networks import GradientBoosting
        from melanoma.models.tabular import build_boosting

        return build_boosting(GradientBoosting.model_validate(settings["gradient_boosting"]), settings["seed"])
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
