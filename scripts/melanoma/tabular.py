"""Models of tables from scikit-learn: logistic regression, random forest, naive Bayes, gradient boosting."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin

from melanoma.context import count_images
from melanoma.gathering import with_targets
from melanoma.inputs import InputEncoder


class Fitted(NamedTuple):
    """A fitted encoder and a classifier of what it encodes."""

    encoder: InputEncoder
    classifier: ClassifierMixin

    def predict(self, table: pd.DataFrame) -> NDArray[np.float64]:
        """Return the probabilities of melanoma, (n,)."""
        return self.classifier.predict_proba(self.encoder.transform(table))[:, 1].astype(float)


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

        settings = recipe["random_forest"]
        return RandomForestClassifier(
            n_estimators=settings["trees"],
            max_depth=settings["depth"],
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
    """Return gradient boosting by `settings`: trees, learning_rate, leaves, leaf_images, l2."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(**boosting_parameters(settings, seed))


def boosting_parameters(settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return our settings of gradient boosting by scikit-learn's names."""
    return {
        "max_iter": settings["trees"],
        "learning_rate": settings["learning_rate"],
        "max_leaf_nodes": settings["leaves"],
        "min_samples_leaf": settings["leaf_images"],
        "l2_regularization": settings["l2"],
        "early_stopping": False,
        "random_state": seed,
    }


def fit(recipe: dict[str, Any], table: pd.DataFrame, threads: int) -> Fitted:
    """Fit encoder and classifier to `table`, which has a column images_per_patient where that is an input."""
    encoder = InputEncoder.fit(table, recipe["inputs"])
    classifier = build_classifier(recipe, threads).fit(encoder.transform(table), table["target"].to_numpy())
    return Fitted(encoder, classifier)


def out_of_fold_and_test(
    recipe: dict[str, Any], train: pd.DataFrame, test: pd.DataFrame, folds: Sequence[int], test_by: str, threads: int
) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
    """Return predictions of each of `folds` by a model fitted on the others, and of test; and each run's encoder.

    Test is predicted by a model fitted on all of train (`test_by` refit) or by the mean of the folds' models
    (fold_mean). Runs are named as those of networks, fold-0 and so on and refit.
    """
    train, test = count_images(train, test)
    seen = {f"fold-{fold}": train[train["fold"] != fold] for fold in folds}
    held_out = {f"fold-{fold}": train[train["fold"] == fold] for fold in folds}
    if test_by == "refit":
        seen["refit"] = train
    models = {run: fit(recipe, rows, threads) for run, rows in seen.items()}
    shown = {run: _prevalence(recipe, rows) for run, rows in seen.items()}
    parts = [
        _predictions(rows, models[run].predict(rows), "train", rows["fold"], shown[run])
        for run, rows in held_out.items()
    ]
    judges = ["refit"] if test_by == "refit" else list(held_out)
    probability = np.mean([models[run].predict(test) for run in judges], axis=0)
    parts.append(_predictions(test, probability, "test", np.int8(-1), float(np.mean([shown[run] for run in judges]))))
    predictions = with_targets(pd.concat(parts, ignore_index=True), train)
    return predictions, {run: model.encoder.to_dict() for run, model in models.items()}


def _prevalence(recipe: dict[str, Any], table: pd.DataFrame) -> float:
    """The share of melanomas that a model takes for the truth."""
    return 0.5 if recipe["network"] in WEIGHTED else float(table["target"].mean())


def _predictions(
    rows: pd.DataFrame, probability: NDArray[np.float64], part: str, fold: Any, prevalence: float
) -> pd.DataFrame:
    clipped = probability.clip(1e-15, 1 - 1e-15)
    logit = np.log(clipped) - np.log1p(-clipped)
    made = {"part": part, "fold": fold, "logit": logit, "probability": probability, "trained_prevalence": prevalence}
    return rows[["image", "patient", "source"]].assign(**made, patient_distance=np.nan)
