"""Fitted classifiers of numbers as plain values: what a file holds of them, and how they predict.

scikit-learn fits them and nothing else of it is needed: a file of them is JSON that can be read, runs no code when it
is loaded, and predicts the same under a later scikit-learn. The arithmetic is scikit-learn's, in its order, to the bit;
of a random forest it is that of one thread.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logsumexp

LEAF = -1  # in the place of a child


class Classifier(Protocol):
    """A fitted classifier of rows of numbers."""

    def predict(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probabilities of melanoma, (n,), of `columns`, (n, columns)."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that `classifier_of` makes the same classifier of."""
        ...


@dataclass(frozen=True)
class Linear:
    """Logistic regression of columns in standard deviations from their means: all (columns,), and one intercept."""

    means: NDArray[np.float64]
    deviations: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    intercept: float

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild it from `to_dict`."""
        vectors = (np.array(values[name], np.float64) for name in ("means", "deviations", "coefficients"))
        return cls(*vectors, values["intercept"])

    def to_dict(self) -> dict[str, Any]:
        """Return means, deviations, coefficients and intercept."""
        vectors = {name: getattr(self, name).tolist() for name in ("means", "deviations", "coefficients")}
        return {"kind": "linear", **vectors, "intercept": self.intercept}

    def predict(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probabilities of melanoma, (n,)."""
        scaled = (columns - self.means) / self.deviations
        return expit((scaled @ self.coefficients[:, None])[:, 0] + self.intercept)


@dataclass(frozen=True)
class NaiveBayes:
    """A normal distribution of each column in each class: means, variances (2, columns), priors (2,), benign first."""

    means: NDArray[np.float64]
    variances: NDArray[np.float64]
    priors: NDArray[np.float64]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild it from `to_dict`."""
        return cls(*(np.array(values[name], np.float64) for name in ("means", "variances", "priors")))

    def to_dict(self) -> dict[str, Any]:
        """Return means, variances and priors."""
        values = {name: getattr(self, name).tolist() for name in ("means", "variances", "priors")}
        return {"kind": "naive_bayes", **values}

    def predict(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probabilities of melanoma, (n,)."""
        joint = []
        for mean, variance, prior in zip(self.means, self.variances, self.priors, strict=True):
            constant = -0.5 * np.sum(np.log(2.0 * np.pi * variance))
            joint.append(np.log(prior) + (constant - 0.5 * np.sum((columns - mean) ** 2 / variance, axis=1)))
        # As scikit-learn lays it out: the order in which two numbers are added may depend on it.
        by_class = np.stack(joint).T
        return np.exp(by_class - logsumexp(by_class, axis=1)[:, None])[:, 1]


@dataclass(frozen=True)
class Tree:
    """A binary tree, its nodes numbered from the root, 0.

    A row goes from a node to `left` where its column `feature` is at most `threshold`, else to `right`; at a leaf,
    whose children are `LEAF`, its value is `value`. All (nodes,).
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: NDArray[np.float64]

    @classmethod
    def of(cls, feature: ArrayLike, threshold: ArrayLike, left: ArrayLike, right: ArrayLike, value: ArrayLike) -> Self:
        """Make a tree of plain values."""
        whole = [np.array(each, np.int64) for each in (feature, left, right)]
        return cls(whole[0], np.array(threshold, np.float64), whole[1], whole[2], np.array(value, np.float64))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, the arguments of `of`."""
        return {name: values.tolist() for name, values in vars(self).items()}

    def leaf_values(self, columns: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the value of the leaf that each row comes to, (n,)."""
        node, rows = np.zeros(len(columns), np.int64), np.arange(len(columns))
        while (inner := self.left[node] != LEAF).any():
            goes_left = columns[rows, self.feature[node]] <= self.threshold[node]
            child = np.where(goes_left, self.left[node], self.right[node])
            node = np.where(inner, child, node)
        return self.value[node]


@dataclass(frozen=True)
class Forest:
    """The mean over trees whose leaves hold probabilities; the columns are rounded to float32 before."""

    trees: Sequence[Tree]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild it from `to_dict`."""
        return cls([Tree.of(**tree) for tree in values["trees"]])

    def to_dict(self) -> dict[str, Any]:
        """Return the trees."""
        return {"kind": "forest", "trees": [tree.to_dict() for tree in self.trees]}

    def predict(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probabilities of melanoma, (n,)."""
        rounded = columns.astype(np.float32)
        return _summed(self.trees, rounded, 0.0) / len(self.trees)


@dataclass(frozen=True)
class Boosting:
    """A baseline and the sum over trees whose leaves hold log-odds."""

    baseline: float
    trees: Sequence[Tree]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild it from `to_dict`."""
        return cls(values["baseline"], [Tree.of(**tree) for tree in values["trees"]])

    def to_dict(self) -> dict[str, Any]:
        """Return the baseline and the trees."""
        return {"kind": "boosting", "baseline": self.baseline, "trees": [tree.to_dict() for tree in self.trees]}

    def predict(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probabilities of melanoma, (n,)."""
        return expit(_summed(self.trees, columns, self.baseline))


KINDS = {"linear": Linear, "naive_bayes": NaiveBayes, "forest": Forest, "boosting": Boosting}


def classifier_of(values: dict[str, Any]) -> Classifier:
    """Rebuild a classifier of any kind from its `to_dict`."""
    return KINDS[values["kind"]].from_dict(values)


def learned(fitted: Any) -> Classifier:
    """Return what one of our classifiers of scikit-learn, fitted to targets 0 and 1, has learned.

    That is a LogisticRegression, alone or last in a pipeline after a StandardScaler, a GaussianNB, a
    RandomForestClassifier, or a HistGradientBoostingClassifier without categories and missing values.
    """
    match type(fitted).__name__:
        case "Pipeline":
            scaler, regression = (step for _, step in fitted.steps)
            return Linear(scaler.mean_, scaler.scale_, regression.coef_[0], float(regression.intercept_[0]))
        case "LogisticRegression":
            count = fitted.coef_.shape[1]
            return Linear(np.zeros(count), np.ones(count), fitted.coef_[0], float(fitted.intercept_[0]))
        case "GaussianNB":
            return NaiveBayes(fitted.theta_, fitted.var_, fitted.class_prior_)
        case "RandomForestClassifier":
            return Forest([_of_forest(each.tree_) for each in fitted.estimators_])
        case _:
            trees = [_of_boosting(predictor.nodes) for (predictor,) in fitted._predictors]
            return Boosting(float(fitted._baseline_prediction.item()), trees)


def _of_forest(tree: Any) -> Tree:
    inner = tree.children_left != LEAF
    feature, threshold = np.where(inner, tree.feature, 0), np.where(inner, tree.threshold, 0.0)
    return Tree.of(feature, threshold, tree.children_left, tree.children_right, tree.value[:, 0, 1])


def _of_boosting(nodes: NDArray[Any]) -> Tree:
    is_leaf = nodes["is_leaf"].astype(bool)
    left, right = (np.where(is_leaf, LEAF, nodes[side].astype(np.int64)) for side in ("left", "right"))
    feature, threshold = np.where(is_leaf, 0, nodes["feature_idx"]), np.where(is_leaf, 0.0, nodes["num_threshold"])
    return Tree.of(feature, threshold, left, right, nodes["value"])


def _summed(trees: Sequence[Tree], columns: NDArray[np.floating], start: float) -> NDArray[np.float64]:
    """Add the trees one after the other: another order may give another last bit."""
    total = np.full(len(columns), start)
    for tree in trees:
        total += tree.leaf_values(columns)
    return total
