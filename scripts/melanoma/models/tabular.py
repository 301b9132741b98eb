"""Models of tables: logistic regression, random forest, naive Bayes, gradient boosting.

A model is kept whole in one file, JSON of what all its runs have learned (see `classifiers`):

    model = tabular.load("train/forest/model.json")
    predictions = model.predict(table)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
import sklearn
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin

from melanoma.common.errors import InputError
from melanoma.common.files import read_json
from melanoma.data.metadata_columns import COUNTS, InputEncoder
from melanoma.models.plain_classifiers import Classifier, classifier_of, learned
from melanoma.predictions.aggregate import with_targets
from melanoma.predictions.patient_context import count_images, images_per_patient

REFIT = "refit"
KEYS = ["image", "patient", "source"]


class Fitted(NamedTuple):
    """A fitted encoder, a classifier of what it encodes, and the share of melanomas that it takes for the truth."""

    encoder: InputEncoder
    classifier: Classifier
    trained_prevalence: float

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild it from `to_dict`."""
        encoder, classifier = InputEncoder.from_dict(values["encoder"]), classifier_of(values["classifier"])
        return cls(encoder, classifier, values["trained_prevalence"])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that a file can hold, with the names of the classifier's columns in their order."""
        return {
            "trained_prevalence": self.trained_prevalence,
            "encoder": self.encoder.to_dict(),
            "columns": self.encoder.names,
            "classifier": self.classifier.to_dict(),
        }

    def predict(self, table: pd.DataFrame) -> NDArray[np.float64]:
        """Return the probabilities of melanoma, (n,)."""
        return self.classifier.predict(self.encoder.transform(table))


@dataclass(frozen=True)
class MetadataModel:
    """All runs of a metadata model by their names, fold-0 and so on and refit, and the recipe that they were fitted by.

    `test_runs` are the runs that predict test: refit, or all folds, the mean of whose probabilities is taken.
    """

    recipe: dict[str, Any]
    test_runs: list[str]
    runs: dict[str, Fitted]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild it from `to_dict`."""
        runs = {name: Fitted.from_dict(fitted) for name, fitted in values["runs"].items()}
        return cls(values["recipe"], values["test_runs"], runs)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that a file can hold."""
        return {
            "recipe": self.recipe,
            "scikit_learn": sklearn.__version__,
            "test_runs": self.test_runs,
            "runs": {name: fitted.to_dict() for name, fitted in self.runs.items()},
        }

    def predict(self, table: pd.DataFrame, run: str | None = None) -> pd.DataFrame:
        """Return predictions of new images, in the order of `table`: by one run, or as test is predicted.

        `table` has image, patient and the columns of the model's inputs (age, sex, site; width and height for size).
        images_per_patient is counted in it where it is no column. The predictions can be a member of a fusion: they
        are as those of `predictions.read_predictions`, without source and target. Raises InputError where a column or
        the run is missing.
        """
        missing = sorted(self._read_columns() - set(table))
        if missing:
            raise InputError(f"the table has no column {', '.join(missing)}, which the model reads; add it")
        if run is not None and run not in self.runs:
            raise InputError(f"the model has no run {run}: give one of {', '.join(self.runs)}")
        if "images_per_patient" not in table:
            table = table.assign(images_per_patient=images_per_patient(table["patient"]))
        rows = table[["image", "patient"]].assign(part="test", fold=np.int8(-1), patient_distance=np.nan)
        return _scored(rows, *self.probability(table, [run] if run else self.test_runs))

    def probability(self, table: pd.DataFrame, test_runs: Sequence[str]) -> tuple[NDArray[np.float64], float]:
        """Return the mean of some runs' probabilities, (n,), and of the shares of melanomas that they were shown."""
        probability = np.mean([self.runs[name].predict(table) for name in test_runs], axis=0)
        return probability, float(np.mean([self.runs[name].trained_prevalence for name in test_runs]))

    def _read_columns(self) -> set[str]:
        counted = {column for name in self.recipe["inputs"] for column in COUNTS.get(name, ())}
        return {"image", "patient", "age", "sex", "site"} | counted - {"images_per_patient"}


def load(path: str | Path) -> MetadataModel:
    """Read a metadata model from the file that the workflow keeps it in, `train/<model>/model.json`."""
    return MetadataModel.from_dict(read_json(path))


# These count each class as much as the other.
WEIGHTED = ("logistic_regression", "random_forest")


def build_classifier(recipe: dict[str, Any], threads: int) -> ClassifierMixin:
    """Return the recipe's classifier, not yet fitted.

    Logistic regression and random forest weight the classes to balance; naive Bayes and gradient boosting do not.
    """
    if recipe["network"] == "logistic_regression":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(class_weight="balanced", max_iter=1000)
    if recipe["network"] == "random_forest":
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(
            **recipe["random_forest"],
            class_weight="balanced",
            random_state=recipe["seed"],
            n_jobs=threads,
        )
    if recipe["network"] == "gradient_boosting":
        return build_boosting(recipe["gradient_boosting"], recipe["seed"])
    from sklearn.naive_bayes import GaussianNB

    # A level that only one class has is a column without variance there, which would outweigh all other columns.
    return GaussianNB(var_smoothing=0.1)


def build_boosting(settings: dict[str, Any], seed: int) -> ClassifierMixin:
    """Return scikit-learn's gradient boosting with the arguments `settings`, as a recipe names them."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(**boosting_parameters(settings, seed))


def boosting_parameters(settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return all arguments of scikit-learn's gradient boosting: `settings`, and those that no recipe changes."""
    return {**settings, "early_stopping": False, "random_state": seed}


def fit(recipe: dict[str, Any], table: pd.DataFrame, threads: int) -> Fitted:
    """Fit encoder and classifier to `table`, which has a column images_per_patient where that is an input."""
    encoder = InputEncoder.fit(table, recipe["inputs"])
    classifier = build_classifier(recipe, threads).fit(encoder.transform(table), table["target"].to_numpy())
    return Fitted(encoder, learned(classifier), _prevalence(recipe, table))


def out_of_fold_and_test(
    recipe: dict[str, Any], train: pd.DataFrame, test: pd.DataFrame, folds: Sequence[int], test_by: str, threads: int
) -> tuple[pd.DataFrame, MetadataModel]:
    """Return predictions of each of `folds` by a model fitted on the others, and of test; and the model.

    Test is predicted by a model fitted on all of train (`test_by` refit) or by the mean of the folds' models
    (fold_mean). Runs are named as those of networks, fold-0 and so on and refit.
    """
    train, test = count_images(train, test)
    seen = {f"fold-{fold}": train[train["fold"] != fold] for fold in folds}
    held_out = {f"fold-{fold}": train[train["fold"] == fold] for fold in folds}
    if test_by == REFIT:
        seen[REFIT] = train
    test_runs = [REFIT] if test_by == REFIT else list(held_out)
    model = MetadataModel(recipe, test_runs, {run: fit(recipe, rows, threads) for run, rows in seen.items()})
    parts = [
        _scored(rows[KEYS].assign(part="train", fold=rows["fold"]), *model.probability(rows, [run]))
        for run, rows in held_out.items()
    ]
    parts.append(_scored(test[KEYS].assign(part="test", fold=np.int8(-1)), *model.probability(test, test_runs)))
    return with_targets(pd.concat(parts, ignore_index=True).assign(patient_distance=np.nan), train), model


def _prevalence(recipe: dict[str, Any], table: pd.DataFrame) -> float:
    """The share of melanomas that a model takes for the truth."""
    return 0.5 if recipe["network"] in WEIGHTED else float(table["target"].mean())


def _scored(rows: pd.DataFrame, probability: NDArray[np.float64], prevalence: float) -> pd.DataFrame:
    clipped = probability.clip(1e-15, 1 - 1e-15)
    logit = np.log(clipped) - np.log1p(-clipped)
    return rows.assign(logit=logit, probability=probability, trained_prevalence=prevalence)
