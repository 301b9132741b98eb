"""The finished demo study shows what the generator was built to show. Needs `make demo` to have run."""

import json
from pathlib import Path

import pytest

RESULTS = Path(__file__).parents[1] / "results" / "demo"


@pytest.fixture(scope="module")
def metrics():
    path = RESULTS / "evaluate" / "metrics.json"
    if not path.exists():
        pytest.skip("the demo study has not run: make demo")
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def truth():
    path = RESULTS / "demo" / "drawn" / "truth.json"
    if not path.exists():
        pytest.skip("the demo study has not run: make demo")
    return json.loads(path.read_text())


@pytest.mark.parametrize("part", ["cnn", "mlp", "logistic", "forest", "bayes"])
def test_the_joint_model_beats_its_parts_by_the_margin_that_was_built_in(metrics, truth, part):
    assert truth["margin"] > 0.05
    assert metrics["joint"]["auroc"]["value"] - metrics[part]["auroc"]["value"] >= truth["margin"]


@pytest.mark.parametrize(
    ("model", "best", "most"), [("joint", "joint", 0.1), ("cnn", "image", 0.03), ("logistic", "metadata", 0.1)]
)
def test_a_model_comes_near_the_best_possible(metrics, truth, model, best, most):
    assert metrics[model]["auroc"]["value"] >= truth["bayes_auroc"]["population"][best] - most


@pytest.mark.parametrize(("model", "best"), [("joint", "joint"), ("cnn", "image"), ("mlp", "metadata")])
def test_no_model_is_better_than_the_best_possible_beyond_chance(metrics, truth, model, best):
    """One that is has seen what it must not."""
    assert metrics[model]["auroc"]["low"] <= truth["bayes_auroc"]["population"][best]
