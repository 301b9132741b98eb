"""Models of tables: logistic regression, random forest, naive Bayes, gradient boosting, and models of frozen features.

A model of frozen features is a linear probe or nearest neighbors. Its table has the features of each image as its
column embedding (see `embeddings`).

A model is kept whole in one JSON file of all that its runs learned (see `plain_classifiers`):

    model = tabular.load("train/forest/model.json")
    predictions = model.predict(table)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, NotRequired, Self, TypedDict

import numpy as np
import pandas as pd
import sklearn
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin

from melanoma.common.errors import InputError
from melanoma.common.files import read_json
from melanoma.config.facts import training_recipe
from melanoma.config.networks import GradientBoosting
from melanoma.config.recipe import Recipe
from melanoma.data.metadata_columns import COUNTS, InputEncoder, InputValues, require_inputs
from melanoma.models.embeddings import Embeddings, FrozenNetwork
from melanoma.models.linear_probe import fit_probe
from melanoma.models.nearest_neighbors import Gallery, GalleryValues, Neighbors, NeighborsValues, fit_neighbors
from melanoma.models.plain_classifiers import Classifier, ClassifierValues, plain_classifier, read_classifier
from melanoma.predictions.aggregate import with_targets
from melanoma.predictions.patient_context import (
    count_images,
    images_per_patient,
    patient_distance,
    patients_of_part,
)
from melanoma.predictions.table import REFIT, fold_column
from melanoma.stats.log_odds import logit

KEYS = ["image", "patient", "source"]
# The networks that weight the classes to balance.
BALANCED = ("logistic_regression", "random_forest")


class FittedValues(TypedDict):
    """A `Fitted` in a file. `columns` are the names of the classifier's columns after any features, for people."""

    trained_prevalence: float
    encoder: InputValues
    columns: list[str]
    classifier: ClassifierValues | NeighborsValues
    penalty: NotRequired[float]


class ModelValues(TypedDict):
    """A `MetadataModel` in a file, with the version of scikit-learn that fitted it."""

    recipe: dict[str, Any]
    scikit_learn: str
    test_runs: list[str]
    runs: dict[str, FittedValues]
    backbone: NotRequired[FrozenNetwork]
    gallery: NotRequired[GalleryValues]


class Fitted(NamedTuple):
    """A fitted encoder, a classifier of its columns, and the prevalence of melanoma that the classifier assumes.

    The classifier of frozen features reads these before the columns of the encoder. That of a linear probe has a
    `penalty` that was chosen.
    """

    encoder: InputEncoder
    classifier: Classifier | Neighbors
    trained_prevalence: float
    penalty: float | None = None

    @classmethod
    def from_dict(cls, values: FittedValues, gallery: Gallery | None) -> Self:
        """Return what these values are of. Nearest neighbors are among those in `gallery`."""
        encoder, plain = InputEncoder.from_dict(values["encoder"]), values["classifier"]
        classifier: Classifier | Neighbors
        if plain["kind"] == "neighbors":
            assert gallery is not None
            classifier = Neighbors.from_dict(plain, gallery)
        else:
            classifier = read_classifier(plain)
        return cls(encoder, classifier, values["trained_prevalence"], values.get("penalty"))

    def to_dict(self) -> FittedValues:
        """Return its plain values."""
        values: FittedValues = {
            "trained_prevalence": self.trained_prevalence,
            "encoder": self.encoder.to_dict(),
            "columns": self.encoder.names,
            "classifier": self.classifier.to_dict(),
        }
        return values if self.penalty is None else {**values, "penalty": self.penalty}

    def predict(self, table: pd.DataFrame) -> NDArray[np.float64]:
        """Return the probabilities of melanoma, (n,)."""
        return self.classifier.predict(_columns(self.encoder, table))


@dataclass(frozen=True)
class MetadataModel:
    """All runs of a metadata model by name (fold-0 and so on, refit), and the recipe that they were fitted by.

    `test_runs` are the runs that predict test images: the refit, or all folds, whose probabilities are averaged. A
    model of frozen features has the `backbone` that they are of. Nearest neighbors have their training images in the
    `gallery`.
    """

    recipe: Recipe
    test_runs: list[str]
    runs: dict[str, Fitted]
    backbone: FrozenNetwork | None = None
    gallery: Gallery | None = None

    @classmethod
    def from_dict(cls, values: ModelValues) -> Self:
        """Return the model of these values."""
        gallery = Gallery.from_dict(values["gallery"]) if "gallery" in values else None
        runs = {name: Fitted.from_dict(fitted, gallery) for name, fitted in values["runs"].items()}
        return cls(Recipe.model_validate(values["recipe"]), values["test_runs"], runs, values.get("backbone"), gallery)

    def to_dict(self) -> ModelValues:
        """Return its plain values."""
        values: ModelValues = {
            "recipe": training_recipe(self.recipe),
            "scikit_learn": sklearn.__version__,
            "test_runs": self.test_runs,
            "runs": {name: fitted.to_dict() for name, fitted in self.runs.items()},
        }
        if self.backbone is not None:
            values["backbone"] = self.backbone
        if self.gallery is not None:
            values["gallery"] = self.gallery.to_dict()
        return values

    def predict(self, table: pd.DataFrame, run: str | None = None) -> pd.DataFrame:
        """Return predictions of new images, in the order of `table`, by one run or by the runs that predict test.

        `table` has image, patient and the columns of the model's inputs (age, sex, site; width and height for size),
        and for frozen features embedding, those of the image by the backbone as `embeddings` computes them.
        If it has no images_per_patient, they are counted in it; an image without a patient is its only one. The
        predictions can be a member of a fusion: they are those of `predictions.read_predictions`, without source and
        target. Raises InputError if a column or the run
        is missing.
        """
        missing = sorted(self._read_columns() - set(table))
        if missing:
            raise InputError(f"the table has no column {', '.join(missing)}, which the model reads; add it")
        if run is not None and run not in self.runs:
            raise InputError(f"the model has no run {run}: give one of {', '.join(self.runs)}")
        if "images_per_patient" not in table:
            patients = table["patient"].fillna(table["image"])
            table = table.assign(images_per_patient=images_per_patient(patients))
        rows = table[["image", "patient"]].assign(part="test", fold=np.int8(-1))
        rows = rows.assign(patient_distance=_distance(table, rows))
        return _scored(rows, *self.probability(table, [run] if run else self.test_runs))

    def probability(self, table: pd.DataFrame, runs: Sequence[str]) -> tuple[NDArray[np.float64], float]:
        """Return the mean probability of some runs, (n,), and the mean of their trained prevalences."""
        probability: NDArray[np.float64] = np.mean([self.runs[name].predict(table) for name in runs], axis=0)
        return probability, float(np.mean([self.runs[name].trained_prevalence for name in runs]))

    def _read_columns(self) -> set[str]:
        counted = {column for name in self.recipe.metadata_inputs for column in COUNTS.get(name, ())}
        embedding = {"embedding"} if self.recipe.reads_features else set()
        return {"image", "patient", "age", "sex", "site"} | embedding | counted - {"images_per_patient"}


def load(path: str | Path) -> MetadataModel:
    """Read a metadata model from its file, `train/<model>/model.json`."""
    return MetadataModel.from_dict(read_json(path))


def build_classifier(recipe: Recipe, threads: int) -> ClassifierMixin:
    """Return the recipe's classifier, not yet fitted.

    Logistic regression and random forest weight the classes to balance; naive Bayes and gradient boosting do not.
    """
    if recipe.network == "logistic_regression":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(class_weight="balanced", max_iter=1000)
    if recipe.network == "random_forest":
        from sklearn.ensemble import RandomForestClassifier

        settings = recipe.random_forest.model_dump()
        return RandomForestClassifier(**settings, class_weight="balanced", random_state=recipe.seed, n_jobs=threads)
    if recipe.network == "gradient_boosting":
        return build_boosting(recipe.gradient_boosting, recipe.seed)
    from sklearn.naive_bayes import GaussianNB

    # A level that only one class has is a column without variance, which would outweigh all other columns.
    return GaussianNB(var_smoothing=0.1)


def build_boosting(settings: GradientBoosting, seed: int) -> ClassifierMixin:
    """Return scikit-learn's classifier by gradient boosting, not yet fitted."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(**boosting_parameters(settings, seed))


def boosting_parameters(settings: GradientBoosting, seed: int) -> dict[str, float | bool]:
    """Return all arguments of scikit-learn's gradient boosting: `settings`, and those that no recipe changes."""
    return {**settings.model_dump(), "early_stopping": False, "random_state": seed}


def fit(recipe: Recipe, table: pd.DataFrame, threads: int, gallery: Gallery | None = None) -> Fitted:
    """Fit encoder and classifier to `table`, which has images_per_patient if that is an input.

    For nearest neighbors, the index of `table` has the number of each row in the `gallery`.
    """
    require_inputs(table, recipe.metadata_inputs, recipe.network)
    encoder = InputEncoder.fit(table, recipe.metadata_inputs)
    prevalence = 0.5 if recipe.network in BALANCED else float(table["target"].mean())
    patient = table["patient"].fillna(table["image"]).to_numpy(str)
    if gallery is not None:
        rows, count = table.index.to_numpy(np.int64), recipe.nearest_neighbors.n_neighbors
        return Fitted(encoder, fit_neighbors(gallery, rows, patient, recipe.seed, count), prevalence)
    columns, target = _columns(encoder, table), table["target"].to_numpy()
    if recipe.reads_features:
        probe = fit_probe(columns, columns.shape[1] - len(encoder.names), target.astype(np.int64), patient, recipe.seed)
        return Fitted(encoder, probe.classifier, prevalence, probe.penalty)
    classifier = build_classifier(recipe, threads).fit(columns, target)
    return Fitted(encoder, plain_classifier(classifier), prevalence)


def out_of_fold_and_test(
    recipe: Recipe,
    train: pd.DataFrame,
    test: pd.DataFrame,
    folds: Sequence[int],
    test_by: str,
    threads: int,
    embeddings: Embeddings | None = None,
) -> tuple[pd.DataFrame, MetadataModel]:
    """Return predictions of each of `folds` by a model fitted to the others, and of test; and the model.

    If `test_by` is refit, a model fitted to all of train predicts test. If it is fold_mean, the mean of the models of
    the folds does. The test logits of each run are there, too, if there are several. Runs have the names of those of
    networks: fold-0 and so on, refit. A model of frozen features needs the `embeddings` of the images.
    """
    train, test = count_images(train.reset_index(drop=True), test)
    if embeddings is not None:
        train, test = embeddings.join(train), embeddings.join(test)
    gallery = None
    if recipe.network == "nearest_neighbors":
        gallery = Gallery(np.stack(train["embedding"]), train["target"].to_numpy(np.int64))
    fitted_rows = {f"fold-{fold}": train[train["fold"] != fold] for fold in folds}
    held_out = {f"fold-{fold}": train[train["fold"] == fold] for fold in folds}
    if test_by == REFIT:
        fitted_rows[REFIT] = train
    test_runs = [REFIT] if test_by == REFIT else list(held_out)
    runs = {run: fit(recipe, rows, threads, gallery) for run, rows in fitted_rows.items()}
    backbone = None if embeddings is None else embeddings.network
    model = MetadataModel(recipe, test_runs, runs, backbone, gallery)
    parts = [
        _scored(rows[KEYS].assign(part="train", fold=rows["fold"]), *model.probability(rows, [run]))
        for run, rows in held_out.items()
    ]
    parts.append(_scored(test[KEYS].assign(part="test", fold=np.int8(-1)), *model.probability(test, test_runs)))
    predictions = pd.concat(parts, ignore_index=True)
    distance = _distance(pd.concat([*held_out.values(), test]), predictions)
    table = with_targets(predictions.assign(patient_distance=distance), train)
    if len(runs) > 1:
        by_fold = {fold_column(run): np.full(len(table), np.nan) for run in runs}
        for run in runs:
            by_fold[fold_column(run)][len(table) - len(test) :] = logit(model.probability(test, [run])[0])
        table = table.assign(**by_fold)
    return table, model


def _columns(encoder: InputEncoder, table: pd.DataFrame) -> NDArray[np.float64]:
    """Return what a classifier reads: any features of the image, then the columns of the encoder."""
    columns = encoder.transform(table)
    return np.concatenate([np.stack(table["embedding"]), columns], axis=1) if "embedding" in table else columns


def _distance(table: pd.DataFrame, predictions: pd.DataFrame) -> NDArray[np.float64] | float:
    """Return the distance of each image from the others of its patient and part, or NaN without features."""
    if "embedding" not in table:
        return np.nan
    return patient_distance(np.stack(table["embedding"]), patients_of_part(predictions))


def _scored(rows: pd.DataFrame, probability: NDArray[np.float64], prevalence: float) -> pd.DataFrame:
    return rows.assign(logit=logit(probability), probability=probability, trained_prevalence=prevalence)
