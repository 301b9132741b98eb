"""Models of age, sex and site from scikit-learn: logistic regression, random forest, naive Bayes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin

from melanoma.encoder import MetadataEncoder
from melanoma.gathering import with_targets

# These count each class as much as the other.
WEIGHTED = ("logistic_regression", "random_forest")


def build_classifier(recipe: dict[str, Any], threads: int) -> ClassifierMixin:
    """Return the recipe's classifier, not yet fitted; classes are weighted to balance where it can weight them."""
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
    from sklearn.naive_bayes import GaussianNB

    # A level that only one class has is a column without variance there, which would outweigh all other columns.
    return GaussianNB(var_smoothing=0.1)


def fit(recipe: dict[str, Any], table: pd.DataFrame, threads: int) -> Callable[[pd.DataFrame], NDArray[np.float64]]:
    """Fit encoder and classifier to `table`; return a function from a table to probabilities of melanoma (n,)."""
    encoder = MetadataEncoder.fit(table)
    classifier = build_classifier(recipe, threads).fit(encoder.transform(table), table["target"].to_numpy())
    return lambda rows: classifier.predict_proba(encoder.transform(rows))[:, 1].astype(float)


def out_of_fold_and_test(
    recipe: dict[str, Any], train: pd.DataFrame, test: pd.DataFrame, folds: list[int], test_by: str, threads: int
) -> pd.DataFrame:
    """Return predictions of each of `folds` by a model fitted on the others, and of test.

    Test is predicted by a model fitted on all of train (`test_by` refit) or by the mean of the folds' models
    (fold_mean).
    """
    seen = {fold: train[train["fold"] != fold] for fold in folds}
    models = {fold: fit(recipe, rows, threads) for fold, rows in seen.items()}
    parts = []
    for fold in folds:
        rows = train[train["fold"] == fold]
        found = _predictions(rows, models[fold](rows), "train", rows["fold"])
        parts.append(found.assign(trained_prevalence=_prevalence(recipe, seen[fold])))
    judges = [fit(recipe, train, threads)] if test_by == "refit" else list(models.values())
    tables = [train] if test_by == "refit" else list(seen.values())
    of_test = _predictions(test, np.mean([judge(test) for judge in judges], axis=0), "test", np.int8(-1))
    parts.append(of_test.assign(trained_prevalence=np.mean([_prevalence(recipe, table) for table in tables])))
    return with_targets(pd.concat(parts, ignore_index=True), train)


def _prevalence(recipe: dict[str, Any], table: pd.DataFrame) -> float:
    """The share of melanomas that a model takes for the truth."""
    return 0.5 if recipe["network"] in WEIGHTED else float(table["target"].mean())


def _predictions(rows: pd.DataFrame, probability: NDArray[np.float64], part: str, fold: Any) -> pd.DataFrame:
    clipped = probability.clip(1e-15, 1 - 1e-15)
    logit = np.log(clipped) - np.log1p(-clipped)
    return rows[["image", "patient", "source"]].assign(part=part, fold=fold, logit=logit, probability=probability)
