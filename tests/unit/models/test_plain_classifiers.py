"""A fitted classifier as plain values predicts what scikit-learn predicts, to the bit, also after a file."""

import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from melanoma.models.plain_classifiers import plain_classifier, read_classifier

FITS = {
    "logistic regression": lambda: LogisticRegression(class_weight="balanced"),
    "logistic regression of scaled columns": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "naive Bayes": lambda: GaussianNB(var_smoothing=0.1),
    "random forest": lambda: RandomForestClassifier(50, max_depth=2, random_state=1),
    "deep random forest": lambda: RandomForestClassifier(20, random_state=1),
    "gradient boosting": lambda: HistGradientBoostingClassifier(max_iter=50, max_leaf_nodes=8, random_state=1),
    "gradient boosting of nothing but leaves": lambda: HistGradientBoostingClassifier(min_samples_leaf=500),
}


def rows(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw columns of which half are levels, as encoded metadata are, and targets that depend on two of them."""
    draw = np.random.default_rng(seed)
    columns = draw.normal(size=(400, 8))
    columns[:, 4:] = columns[:, 4:] > 0
    return columns, (columns[:, 0] + columns[:, 5] + draw.normal(size=400) > 0.5).astype(int)


@pytest.mark.parametrize("name", FITS)
def test_after_a_file_the_probabilities_are_those_of_scikit_learn(name: str) -> None:
    fitted = FITS[name]().fit(*rows(0))
    kept = read_classifier(json.loads(json.dumps(plain_classifier(fitted).to_dict())))
    new, _ = rows(1)
    for count in (400, 1):
        assert_array_equal(kept.predict(new[:count]), fitted.predict_proba(new[:count])[:, 1])
