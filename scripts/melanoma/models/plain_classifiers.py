"""Fitted classifiers of numbers as plain values: what a file holds of them, and how they predict.

scikit-learn is needed only to fit them. A file of them is JSON: people can read it, it runs no code, and it predicts
the same under a later scikit-learn. The arithmetic is that of scikit-learn, in its order, to the bit; for a random
forest that of one thread.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logsumexp

Vector = NDArray[np.float64]

LEAF = -1  # The child of a leaf.


class LinearValues(TypedDict):
    """A `Linear` in a file."""

    kind: Literal["linear"]
    means: list[float]
    deviations: list[float]
    coefficients: list[float]
    intercept: float


class NaiveBayesValues(TypedDict):
    """A `NaiveBayes` in a file."""

    kind: Literal["naive_bayes"]
    means: list[list[float]]
    variances: list[list[float]]
    priors: list[float]


class TreeValues(TypedDict):
    """A `Tree` in a file."""

    feature: list[int]
    threshold: list[float]
    left: list[int]
    right: list[int]
    value: list[float]


class ForestValues(TypedDict):
    """A `Forest` in a file."""

    kind: Literal["forest"]
    trees: list[TreeValues]


class BoostingValues(TypedDict):
    """A `Boosting` in a file."""

    kind: Literal["boosting"]
    baseline: float
    trees: list[TreeValues]


ClassifierValues = LinearValues | NaiveBayesValues | ForestValues | BoostingValues


class Classifier(Protocol):
    """A fitted classifier of rows of numbers."""

    def predict(self, columns: Vector) -> Vector:
        """Return the probabilities of melanoma, (n,), of `columns` (n, columns)."""
        ...

    def to_dict(self) -> ClassifierValues:
        """Return plain values, from which `read_classifier` makes the same classifier."""
        ...


@dataclass(frozen=True)
class Linear:
    """Logistic regression on columns in standard deviations from their means: all (columns,), and one intercept."""

    means: Vector
    deviations: Vector
    coefficients: Vector
    intercept: float

    @classmethod
    def from_dict(cls, values: LinearValues) -> Self:
        """Return the classifier of these values."""
        means, deviations, coefficients = map(_vector, (values["means"], values["deviations"], values["coefficients"]))
        return cls(means, deviations, coefficients, values["intercept"])

    def to_dict(self) -> LinearValues:
        """Return its plain values."""
        return {
            "kind": "linear",
            "means": self.means.tolist(),
            "deviations": self.deviations.tolist(),
            "coefficients": self.coefficients.tolist(),
            "intercept": self.intercept,
        }

    def predict(self, columns: Vector) -> Vector:
        """Return the probabilities of melanoma, (n,)."""
        return _vector(expit(self.log_odds(columns)))

    def log_odds(self, columns: Vector) -> Vector:
        """Return the log-odds of melanoma, (n,)."""
        scaled = (columns - self.means) / self.deviations
        return _vector((scaled @ self.coefficients[:, None])[:, 0] + self.intercept)


@dataclass(frozen=True)
class NaiveBayes:
    """A normal distribution of each column in each class: means, variances (2, columns), priors (2,), benign first."""

    means: Vector
    variances: Vector
    priors: Vector

    @classmethod
    def from_dict(cls, values: NaiveBayesValues) -> Self:
        """Return the classifier of these values."""
        return cls(_vector(values["means"]), _vector(values["variances"]), _vector(values["priors"]))

    def to_dict(self) -> NaiveBayesValues:
        """Return its plain values."""
        return {
            "kind": "naive_bayes",
            "means": self.means.tolist(),
            "variances": self.variances.tolist(),
            "priors": self.priors.tolist(),
        }

    def predict(self, columns: Vector) -> Vector:
        """Return the probabilities of melanoma, (n,)."""
        joint = []
        for mean, variance, prior in zip(self.means, self.variances, self.priors, strict=True):
            constant = -0.5 * np.sum(np.log(2.0 * np.pi * variance))
            joint.append(np.log(prior) + (constant - 0.5 * np.sum((columns - mean) ** 2 / variance, axis=1)))
        # In the memory layout of scikit-learn, because the order of a sum of two numbers may depend on it.
        by_class = np.stack(joint).T
        return _vector(np.exp(by_class - logsumexp(by_class, axis=1)[:, None])[:, 1])


@dataclass(frozen=True)
class Tree:
    """A binary tree whose nodes are numbered from the root, 0; all (nodes,).

    A row goes from a node to `left` if its column `feature` is at most `threshold`, otherwise to `right`. The result is
    the `value` of a leaf, a node whose children are `LEAF`.
    """

    feature: NDArray[np.int64]
    threshold: Vector
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: Vector

    @classmethod
    def of(cls, feature: ArrayLike, threshold: ArrayLike, left: ArrayLike, right: ArrayLike, value: ArrayLike) -> Self:
        """Return a tree of plain values."""
        whole = [np.array(each, np.int64) for each in (feature, left, right)]
        return cls(whole[0], np.array(threshold, np.float64), whole[1], whole[2], np.array(value, np.float64))

    def to_dict(self) -> TreeValues:
        """Return its plain values, the arguments of `of`."""
        return {
            "feature": self.feature.tolist(),
            "threshold": self.threshold.tolist(),
            "left": self.left.tolist(),
            "right": self.right.tolist(),
            "value": self.value.tolist(),
        }

    def leaf_values(self, columns: NDArray[np.floating]) -> Vector:
        """Return the value of the leaf of each row, (n,)."""
        node, rows = np.zeros(len(columns), np.int64), np.arange(len(columns))
        while (inner := self.left[node] != LEAF).any():
            goes_left = columns[rows, self.feature[node]] <= self.threshold[node]
            child = np.where(goes_left, self.left[node], self.right[node])
            node = np.where(inner, child, node)
        return self.value[node]


@dataclass(frozen=True)
class Forest:
    """The mean over trees whose leaves hold probabilities. The columns are rounded to float32 first."""

    trees: Sequence[Tree]

    @classmethod
    def from_dict(cls, values: ForestValues) -> Self:
        """Return the classifier of these values."""
        return cls([Tree.of(**tree) for tree in values["trees"]])

    def to_dict(self) -> ForestValues:
        """Return its plain values."""
        return {"kind": "forest", "trees": [tree.to_dict() for tree in self.trees]}

    def predict(self, columns: Vector) -> Vector:
        """Return the probabilities of melanoma, (n,)."""
        return _sum(self.trees, columns.astype(np.float32), 0.0) / len(self.trees)


@dataclass(frozen=True)
class Boosting:
    """A baseline plus the sum over trees whose leaves hold log-odds."""

    baseline: float
    trees: Sequence[Tree]

    @classmethod
    def from_dict(cls, values: BoostingValues) -> Self:
        """Return the classifier of these values."""
        return cls(values["baseline"], [Tree.of(**tree) for tree in values["trees"]])

    def to_dict(self) -> BoostingValues:
        """Return its plain values."""
        return {"kind": "boosting", "baseline": self.baseline, "trees": [tree.to_dict() for tree in self.trees]}

    def predict(self, columns: Vector) -> Vector:
        """Return the probabilities of melanoma, (n,)."""
        return _vector(expit(_sum(self.trees, columns, self.baseline)))


def read_classifier(values: ClassifierValues) -> Classifier:
    """Return the classifier whose `to_dict` gave these values."""
    match values["kind"]:
        case "linear":
            return Linear.from_dict(values)
        case "naive_bayes":
            return NaiveBayes.from_dict(values)
        case "forest":
            return Forest.from_dict(values)
        case "boosting":
            return Boosting.from_dict(values)


def plain_classifier(fitted: Any) -> Classifier:
    """Return a classifier of scikit-learn, fitted to targets 0 and 1, as plain values.

    It is a LogisticRegression, alone or last in a pipeline after a StandardScaler, a GaussianNB, a
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
            return Forest([_forest_tree(each.tree_) for each in fitted.estimators_])
        case _:
            trees = [_boosting_tree(predictor.nodes) for (predictor,) in fitted._predictors]
            return Boosting(float(fitted._baseline_prediction.item()), trees)


def _forest_tree(tree: Any) -> Tree:
    inner = tree.children_left != LEAF
    feature, threshold = np.where(inner, tree.feature, 0), np.where(inner, tree.threshold, 0.0)
    return Tree.of(feature, threshold, tree.children_left, tree.children_right, tree.value[:, 0, 1])


def _boosting_tree(nodes: NDArray[Any]) -> Tree:
    is_leaf = nodes["is_leaf"].astype(bool)
    left, right = (np.where(is_leaf, LEAF, nodes[side].astype(np.int64)) for side in ("left", "right"))
    feature, threshold = np.where(is_leaf, 0, nodes["feature_idx"]), np.where(is_leaf, 0.0, nodes["num_threshold"])
    return Tree.of(feature, threshold, left, right, nodes["value"])


def _vector(values: ArrayLike) -> Vector:
    return np.asarray(values, np.float64)


def _sum(trees: Sequence[Tree], columns: NDArray[np.floating], start: float) -> Vector:
    """Add the trees in their order, because another order may give another last bit."""
    total = np.full(len(columns), start)
    for tree in trees:
        total += tree.leaf_values(columns)
    return total
