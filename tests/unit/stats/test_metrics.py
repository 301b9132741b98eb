"""Every metric is its definition, counted by hand, and scikit-learn's, under any ties and weights."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from labeled_cohort import Labeled, labeled, pairs_auroc, rounded_scores
from melanoma.stats import metrics

TOLERANCE = 1e-12


def repeated(data: Labeled) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and scores with each row as often as its weight says."""
    target, score, weight = data
    return np.repeat(target, weight), np.repeat(score, weight)


def counts(target: np.ndarray, score: np.ndarray, threshold: float) -> tuple[int, int, int, int]:
    """Count TP, FP, TN and FN, one image at a time."""
    cells = [(bool(t), bool(s >= threshold)) for t, s in zip(target, score, strict=True)]
    return tuple(cells.count(cell) for cell in ((True, True), (False, True), (False, False), (True, False)))


def points(target: np.ndarray, score: np.ndarray) -> list[tuple[float, float]]:
    """Return (specificity, sensitivity) at every threshold, from calling nothing to calling everything melanoma."""
    cells = [counts(target, score, threshold) for threshold in [np.inf, *sorted(set(score), reverse=True)]]
    return [(tn / (tn + fp), tp / (tp + fn)) for tp, fp, tn, fn in cells]


def stepped_average_precision(target: np.ndarray, score: np.ndarray) -> float:
    area, recall = 0.0, 0.0
    for threshold in sorted(set(score), reverse=True):
        tp, fp, _, fn = counts(target, score, threshold)
        area += (tp / (tp + fn) - recall) * tp / (tp + fp)
        recall = tp / (tp + fn)
    return area


def trapezoids_above(target: np.ndarray, score: np.ndarray, floor: float = 0.8) -> float:
    """Sum the area between the ROC curve and the line at `floor`, segment by segment."""
    area, curve = 0.0, points(target, score)
    for (before, low), (after, high) in pairwise(curve):
        x0, x1 = 1 - before, 1 - after
        if high <= floor:
            continue
        if low < floor:
            x0, low = x0 + (x1 - x0) * (floor - low) / (high - low), floor
        area += (x1 - x0) * ((low + high) / 2 - floor)
    return area


def isic_2024_score(target: np.ndarray, score: np.ndarray) -> float:
    """Return the challenge's score as its organizers computed it, from scikit-learn's partial AUC."""
    scaled = sklearn_metrics.roc_auc_score(1 - target, -score, max_fpr=0.2)
    return 0.5 * 0.2**2 + (0.2 - 0.5 * 0.2**2) / 0.5 * (scaled - 0.5)


def binned_error(target: np.ndarray, probability: np.ndarray, bins: int = 15) -> float:
    error = 0.0
    for number in range(bins):
        low, high = number / bins, (number + 1) / bins
        members = (probability > low) & (probability <= high) | ((number == 0) & (probability == 0))
        if members.any():
            error += members.mean() * abs(probability[members].mean() - target[members].mean())
    return error


def truth_log_loss(target: np.ndarray, probability: np.ndarray) -> float:
    kept = [min(max(p if t else 1 - p, 2.0**-52), 1 - 2.0**-52) for t, p in zip(target, probability, strict=True)]
    return -sum(map(np.log, kept)) / len(kept)


DEFINITIONS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "auroc": pairs_auroc,
    "average_precision": stepped_average_precision,
    "partial_auroc": trapezoids_above,
    "sensitivity_at_80_specificity": lambda t, s: max(tpr for tnr, tpr in points(t, s) if tnr >= 0.80),
    "sensitivity_at_90_specificity": lambda t, s: max(tpr for tnr, tpr in points(t, s) if tnr >= 0.90),
    "sensitivity_at_95_specificity": lambda t, s: max(tpr for tnr, tpr in points(t, s) if tnr >= 0.95),
    "specificity_at_80_sensitivity": lambda t, s: max(tnr for tnr, tpr in points(t, s) if tpr >= 0.80),
    "specificity_at_90_sensitivity": lambda t, s: max(tnr for tnr, tpr in points(t, s) if tpr >= 0.90),
    "specificity_at_95_sensitivity": lambda t, s: max(tnr for tnr, tpr in points(t, s) if tpr >= 0.95),
    "brier": lambda t, p: sum((p - t) ** 2) / len(t),
    "log_loss": truth_log_loss,
    "ece": binned_error,
}


def every_metric(target: np.ndarray, score: np.ndarray, weight: np.ndarray | None = None) -> dict[str, np.ndarray]:
    measures = metrics.Ranking(target, score), metrics.Calibration(target, score)
    return {name: value for measure in measures for name, value in metrics.measured(measure, weight).items()}


@given(labeled())
def test_each_metric_is_its_definition(data: Labeled) -> None:
    target, score, _ = data
    values = every_metric(target, score)
    assert list(values) == list(DEFINITIONS)
    for name, definition in DEFINITIONS.items():
        assert values[name] == pytest.approx(definition(target, score), abs=TOLERANCE), name


@given(labeled())
def test_an_integer_weight_is_a_repeated_row(data: Labeled) -> None:
    target, score, weight = data
    values = every_metric(target, score, weight)
    for name, definition in DEFINITIONS.items():
        assert values[name] == pytest.approx(definition(*repeated(data)), abs=TOLERANCE), name


@given(labeled())
def test_many_weights_at_once_are_each_of_them_alone(data: Labeled) -> None:
    target, score, weight = data
    weights = np.stack([weight, weight[::-1], np.ones_like(weight), weight * 0.5], axis=1)
    together = every_metric(target, score, weights)
    for number, alone in enumerate(weights.T):
        for name, value in every_metric(target, score, alone).items():
            np.testing.assert_allclose(together[name][number], value, rtol=0, atol=TOLERANCE)


@given(labeled())
def test_weighted_metrics_are_those_of_scikit_learn(data: Labeled) -> None:
    target, score, weight = data
    for ours, theirs in (
        (metrics.auroc, sklearn_metrics.roc_auc_score),
        (metrics.average_precision, sklearn_metrics.average_precision_score),
        (metrics.log_loss, sklearn_metrics.log_loss),
    ):
        assert ours(target, score) == pytest.approx(theirs(target, score), abs=TOLERANCE)
        expected = theirs(target, score, sample_weight=weight)
        assert ours(target, score, weight) == pytest.approx(expected, abs=TOLERANCE)


@given(labeled())
def test_the_partial_auroc_is_the_score_of_isic_2024(data: Labeled) -> None:
    target, score, _ = data
    value = every_metric(target, score)["partial_auroc"]
    assert value == pytest.approx(isic_2024_score(target, score), abs=TOLERANCE)
    assert 0 <= value <= 0.2 + TOLERANCE


@given(labeled())
def test_ranking_depends_on_the_order_of_the_scores_alone(data: Labeled) -> None:
    target, score, _ = data
    bent = metrics.measured(metrics.Ranking(target, np.exp(3 * score) - 7))
    assert bent == metrics.measured(metrics.Ranking(target, score))


@given(labeled())
def test_swapping_the_classes_mirrors_auroc(data: Labeled) -> None:
    target, score, weight = data
    mirrored = 1 - metrics.auroc(target, score, weight)
    assert metrics.auroc(1 - target, score, weight) == pytest.approx(mirrored, abs=TOLERANCE)


def ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else np.nan


@given(labeled(), st.floats(0, 1))
def test_each_rate_at_a_threshold_is_its_definition(data: Labeled, threshold: float) -> None:
    target, score, weight = data
    tp, fp, tn, fn = counts(*repeated(data), threshold)
    cells = metrics.confusion(target, score, threshold, weight)
    assert (cells.tp, cells.fp, cells.tn, cells.fn) == (tp, fp, tn, fn)
    n, sensitivity, specificity = tp + fp + tn + fn, ratio(tp, tp + fn), ratio(tn, tn + fp)
    precision, by_chance = ratio(tp, tp + fp), ((tp + fp) * (tp + fn) + (tn + fn) * (tn + fp)) / n**2
    expected = {
        "sensitivity": sensitivity,
        "specificity": specificity,
        "ppv": precision,
        "npv": ratio(tn, tn + fn),
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "f1": 2 * tp / (2 * tp + fp + fn),
        "f2": 5 * tp / (5 * tp + 4 * fn + fp),
        "g_mean": np.sqrt(sensitivity * specificity),
        "kappa": ratio((tp + tn) / n - by_chance, 1 - by_chance),
    }
    rates = metrics.measured(metrics.Outcomes(target, score, threshold), weight)
    assert list(rates) == list(expected) == list(metrics.RATES)
    for name, value in expected.items():
        assert rates[name] == pytest.approx(value, abs=TOLERANCE, nan_ok=True), name
        assert getattr(cells, name) == pytest.approx(value, abs=TOLERANCE, nan_ok=True), name


@given(labeled())
def test_rates_are_those_of_scikit_learn(data: Labeled) -> None:
    target, score, weight = data
    threshold = float(np.median(score))
    cells = metrics.confusion(target, score, threshold, weight)
    counted = {"y_true": target, "y_pred": (score >= threshold).astype(int), "sample_weight": weight}
    assert cells.f1 == pytest.approx(sklearn_metrics.f1_score(**counted))
    assert cells.f2 == pytest.approx(sklearn_metrics.fbeta_score(**counted, beta=2))
    assert cells.balanced_accuracy == pytest.approx(sklearn_metrics.balanced_accuracy_score(**counted))


def test_kappa_is_scikit_learns() -> None:
    generator = np.random.default_rng(3)
    target, score = generator.integers(0, 2, 50), generator.random(50)
    expected = sklearn_metrics.cohen_kappa_score(target, score >= 0.6)
    assert metrics.confusion(target, score, 0.6).kappa == pytest.approx(expected)


def test_a_score_at_the_threshold_is_called_melanoma() -> None:
    cells = metrics.confusion([1, 0], [0.5, 0.5], 0.5)
    assert (cells.tp, cells.fp, cells.tn, cells.fn) == (1, 1, 0, 0)


@given(labeled(), st.lists(st.floats(0.01, 0.99), min_size=1, max_size=4, unique=True))
def test_net_benefit_is_its_definition(data: Labeled, thresholds: list[float]) -> None:
    target, probability, weight = data
    values = metrics.measured(metrics.NetBenefit(target, probability, thresholds), weight)
    for threshold, value in zip(thresholds, values.values(), strict=True):
        tp, fp, *_ = counts(*repeated(data), threshold)
        expected = (tp - fp * threshold / (1 - threshold)) / weight.sum()
        assert value == pytest.approx(expected, abs=1e-10)


def test_net_benefit_is_that_of_dcurves() -> None:
    """The values are those of dcurves 1.1.7."""
    published = {
        "0.05": 0.16622807017543859,
        "0.1": 0.12518518518518518,
        "0.2": 0.0325,
        "0.35": -0.11089743589743586,
        "0.5": -0.2383333333333333,
        "0.7": -0.3522222222222222,
    }
    target, score, _ = rounded_scores()
    measure = metrics.NetBenefit(target, 1 / (1 + np.exp(-score)), [float(threshold) for threshold in published])
    for threshold, value in metrics.measured(measure).items():
        assert value == pytest.approx(published[threshold], abs=TOLERANCE)


def test_a_single_class_has_no_area_and_no_rate_of_the_other() -> None:
    target, score = np.array([0, 1, 0]), np.array([0.1, 0.2, 0.3])
    weights = np.array([[1, 0, 1], [0, 1, 0]]).T
    values = metrics.measured(metrics.Ranking(target, score), weights)
    assert values.pop("average_precision")[1] == 1
    assert all(np.isnan(value).all() for value in values.values())
    assert np.isnan(metrics.auroc([0, 0], [0.1, 0.2]))
    rates = metrics.measured(metrics.Outcomes([0, 0], [0.1, 0.2], 0.5))
    assert rates["specificity"] == 1 and np.isnan(rates["sensitivity"]) and np.isnan(rates["ppv"])


@pytest.mark.parametrize(
    ("target", "score"), [([0, 1], [0.1]), ([0, 2], [0.1, 0.2]), ([0, 1], [0.1, np.nan]), ([], [])]
)
def test_what_cannot_be_scored_is_refused(target: list[int], score: list[float]) -> None:
    with pytest.raises(ValueError, match=r"target|score"):
        metrics.auroc(target, score)


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.1])
def test_a_certainty_is_no_threshold_of_net_benefit(threshold: float) -> None:
    with pytest.raises(ValueError, match="above 0 and below 1"):
        metrics.NetBenefit([0, 1], [0.1, 0.9], [threshold])


def test_no_metrics_are_non_smooth_but_those_that_are_said_to_be() -> None:
    generator = np.random.default_rng(3)
    target = (np.arange(200) % 5 == 0).astype(int)
    probability = np.clip(0.3 * target + 0.6 * generator.random(200), 0.01, 0.99)
    weight = np.exp(np.linspace(0, 2, 4001) * generator.normal(size=(200, 1)))
    kinds = [
        metrics.Ranking(target, probability),
        metrics.Calibration(target, probability),
        metrics.Outcomes(target, probability, 0.4),
        metrics.NetBenefit(target, probability, [0.1]),
    ]
    steps = {
        name: np.abs(np.diff(values)).max() for kind in kinds for name, values in metrics.measured(kind, weight).items()
    }
    assert {name for name, step in steps.items() if step > 1e-3} == metrics.NON_SMOOTH
