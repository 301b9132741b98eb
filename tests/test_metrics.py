"""Metrics are scikit-learn's, under any weights and ties; intervals resample patients and nothing else."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from melanoma import bootstrap, metrics

TOLERANCE = 1e-12
Labelled = tuple[np.ndarray, np.ndarray, np.ndarray]


@st.composite
def labelled(draw: st.DrawFn) -> Labelled:
    """Draw labels of both classes, scores with many ties, and weights that leave both classes."""
    n = draw(st.integers(2, 40))
    target = np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    target[:2] = 0, 1
    levels = draw(st.sampled_from([1, 2, 5, 1000]))
    score = np.array(draw(st.lists(st.integers(0, levels), min_size=n, max_size=n))) / levels
    weight = np.array(draw(st.lists(st.integers(0, 4), min_size=n, max_size=n)))
    weight[:2] += 1
    order = np.array(draw(st.permutations(range(n))))
    return target[order], score[order], weight[order]


def pairs_auroc(target: np.ndarray, score: np.ndarray) -> float:
    difference = score[target == 1][:, None] - score[target == 0][None, :]
    return float(np.mean((difference > 0) + 0.5 * (difference == 0)))


@given(labelled())
def test_auroc_is_the_share_of_pairs_in_the_right_order_with_ties_half(data: Labelled) -> None:
    target, score, _ = data
    assert metrics.auroc(target, score) == pytest.approx(pairs_auroc(target, score), abs=TOLERANCE)


@given(labelled())
def test_weighted_metrics_are_those_of_scikit_learn(data: Labelled) -> None:
    target, score, weight = data
    for ours, theirs in (
        (metrics.auroc, sklearn_metrics.roc_auc_score),
        (metrics.average_precision, sklearn_metrics.average_precision_score),
        (metrics.brier, sklearn_metrics.brier_score_loss),
    ):
        assert ours(target, score) == pytest.approx(theirs(target, score), abs=TOLERANCE)
        expected = theirs(target, score, sample_weight=weight)
        assert ours(target, score, weight) == pytest.approx(expected, abs=TOLERANCE)


@given(labelled())
def test_an_integer_weight_is_a_repeated_row(data: Labelled) -> None:
    target, score, weight = data
    repeated = np.repeat(target, weight), np.repeat(score, weight)
    for metric in (metrics.auroc, metrics.average_precision, metrics.brier):
        assert metric(target, score, weight) == pytest.approx(metric(*repeated), abs=TOLERANCE)


@given(labelled())
def test_many_weights_at_once_are_each_of_them_alone(data: Labelled) -> None:
    target, score, weight = data
    weights = np.stack([weight, weight[::-1], np.ones_like(weight), weight * 0.5])
    for metric in (metrics.auroc, metrics.average_precision, metrics.brier):
        alone = [metric(target, score, row) for row in weights]
        np.testing.assert_allclose(metric(target, score, weights), alone, rtol=0, atol=TOLERANCE)


@given(labelled())
def test_areas_depend_on_the_order_of_the_scores_alone(data: Labelled) -> None:
    target, score, _ = data
    for metric in (metrics.auroc, metrics.average_precision):
        assert metric(target, np.exp(3 * score) - 7) == metric(target, score)


@given(labelled())
def test_swapping_the_classes_mirrors_auroc(data: Labelled) -> None:
    target, score, weight = data
    assert metrics.auroc(1 - target, score, weight) == pytest.approx(
        1 - metrics.auroc(target, score, weight), abs=TOLERANCE
    )


@given(labelled())
def test_curves_are_those_of_scikit_learn_and_enclose_their_areas(data: Labelled) -> None:
    target, score, _ = data
    false, true, threshold = metrics.roc_curve(target, score)
    for ours, theirs in zip(
        (false, true, threshold),
        sklearn_metrics.roc_curve(target, score, drop_intermediate=False),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs)
    assert np.trapezoid(true, false) == pytest.approx(metrics.auroc(target, score), abs=TOLERANCE)
    precision, recall, threshold = metrics.precision_recall_curve(target, score)
    theirs = sklearn_metrics.precision_recall_curve(target, score)
    np.testing.assert_allclose(precision, theirs[0][-2::-1])
    np.testing.assert_allclose(recall, theirs[1][-2::-1])
    np.testing.assert_allclose(threshold, theirs[2][::-1])
    area = np.sum(np.diff(recall, prepend=0) * precision)
    assert area == pytest.approx(metrics.average_precision(target, score), abs=TOLERANCE)


@given(labelled())
def test_confusion_and_its_rates_are_those_of_scikit_learn(data: Labelled) -> None:
    target, score, weight = data
    threshold = float(np.median(score))
    called = (score >= threshold).astype(int)
    cells = metrics.confusion(target, score, threshold, weight)
    expected = sklearn_metrics.confusion_matrix(target, called, sample_weight=weight)
    assert [[cells.tn, cells.fp], [cells.fn, cells.tp]] == expected.tolist()
    counted = {"y_true": target, "y_pred": called, "sample_weight": weight}
    assert cells.sensitivity == pytest.approx(sklearn_metrics.recall_score(**counted))
    assert cells.specificity == pytest.approx(sklearn_metrics.recall_score(**counted, pos_label=0))
    assert cells.balanced_accuracy == pytest.approx((cells.sensitivity + cells.specificity) / 2)
    assert cells.g_mean**2 == pytest.approx(cells.sensitivity * cells.specificity)
    assert cells.f2 == pytest.approx(sklearn_metrics.fbeta_score(**counted, beta=2))
    assert cells.precision == pytest.approx(sklearn_metrics.precision_score(**counted))


def test_kappa_is_scikit_learns() -> None:
    generator = np.random.default_rng(3)
    target, score = generator.integers(0, 2, 50), generator.random(50)
    expected = sklearn_metrics.cohen_kappa_score(target, score >= 0.6)
    assert metrics.confusion(target, score, 0.6).kappa == pytest.approx(expected)


def test_a_score_at_the_threshold_is_called_melanoma() -> None:
    cells = metrics.confusion([1, 0], [0.5, 0.5], 0.5)
    assert (cells.tp, cells.fp, cells.tn, cells.fn) == (1, 1, 0, 0)


def test_a_single_class_has_no_area() -> None:
    target, score = np.array([0, 1, 0]), np.array([0.1, 0.2, 0.3])
    weights = np.array([[1, 0, 1], [0, 1, 0]])
    assert np.isnan(metrics.auroc(target, score, weights)).all()
    assert np.isnan(metrics.average_precision(target, score, weights[0]))
    assert np.isnan(metrics.auroc([0, 0], [0.1, 0.2]))


@pytest.mark.parametrize(
    ("target", "score"), [([0, 1], [0.1]), ([0, 2], [0.1, 0.2]), ([0, 1], [0.1, np.nan]), ([], [])]
)
def test_what_cannot_be_scored_is_refused(target: list[int], score: list[float]) -> None:
    with pytest.raises(ValueError, match=r"target|score"):
        metrics.auroc(target, score)


@settings(max_examples=50)
@given(labelled(), st.integers(1, 8), st.integers(0, 99))
def test_a_replicate_is_the_metric_on_the_rows_of_the_patients_drawn(data: Labelled, patients: int, seed: int) -> None:
    target, score, _ = data
    names = np.array([f"patient {i % patients}" for i in range(len(target))])
    known, cluster = np.unique(names, return_inverse=True)
    draws = np.concatenate(list(bootstrap.draw(len(known), 6, seed, len(target))))
    values = bootstrap.replicate_metrics(target, score, names, 6, seed, threshold=0.5)
    for number, drawn in enumerate(draws):
        rows = np.concatenate([np.flatnonzero(cluster == c) for c in np.repeat(np.arange(len(known)), drawn)])
        if len(set(target[rows])) < 2:
            assert all(np.isnan(value[number]) for value in values.values())
            continue
        cells = metrics.confusion(target[rows], score[rows], 0.5)
        expected = {
            "auroc": sklearn_metrics.roc_auc_score(target[rows], score[rows]),
            "average_precision": sklearn_metrics.average_precision_score(target[rows], score[rows]),
            "brier": sklearn_metrics.brier_score_loss(target[rows], score[rows]),
            "sensitivity": cells.sensitivity,
            "specificity": cells.specificity,
        }
        for name, value in expected.items():
            assert values[name][number] == pytest.approx(value, abs=TOLERANCE), name


@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 99))
def test_each_replicate_draws_as_many_patients_as_there_are(patients: int, replicates: int, seed: int) -> None:
    draws = np.concatenate(list(bootstrap.draw(patients, replicates, seed, images=100)))
    assert draws.shape == (replicates, patients)
    assert (draws.sum(axis=1) == patients).all()


def test_draws_do_not_depend_on_the_size_of_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    together = np.concatenate(list(bootstrap.draw(17, 50, 1, images=100)))
    monkeypatch.setattr(bootstrap, "CHUNK", 300)
    assert np.array_equal(np.concatenate(list(bootstrap.draw(17, 50, 1, images=100))), together)


def cohort(seed: int, patients: int, images: int, spread: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw labels, probabilities and patients whose images share a part of their score."""
    generator = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), images)
    target = (generator.random(patients * images) < 0.2).astype(int)
    shared = spread * generator.normal(size=patients)[patient]
    return target, 1 / (1 + np.exp(-(target + shared + generator.normal(size=len(target))))), patient


def test_an_interval_holds_its_value_and_the_same_seed_gives_it_again() -> None:
    data = cohort(0, 60, 5, 1.0)
    made = bootstrap.estimate(*data, replicates=500, threshold=0.5)
    assert made == bootstrap.estimate(*data, replicates=500, threshold=0.5)
    assert made != bootstrap.estimate(*data, replicates=500, threshold=0.5, seed=2)
    assert set(made.metrics) == {"auroc", "average_precision", "brier", "sensitivity", "specificity"}
    for interval in made.metrics.values():
        assert interval.low < interval.value < interval.high


def test_more_confidence_is_a_wider_interval() -> None:
    data = cohort(0, 60, 5, 1.0)
    narrow = bootstrap.estimate(*data, replicates=500, confidence=0.5).metrics["auroc"]
    wide = bootstrap.estimate(*data, replicates=500, confidence=0.95).metrics["auroc"]
    assert wide.low < narrow.low < narrow.high < wide.high


def test_images_of_a_patient_that_are_alike_widen_the_interval() -> None:
    target, probability, _ = cohort(1, 400, 1, 1.0)
    copies = np.repeat(target, 5), np.repeat(probability, 5)
    by_patient = bootstrap.estimate(*copies, np.repeat(np.arange(400), 5), replicates=500).metrics["auroc"]
    by_image = bootstrap.estimate(*copies, np.arange(2000), replicates=500).metrics["auroc"]
    ratio = (by_patient.high - by_patient.low) / (by_image.high - by_image.low)
    assert ratio == pytest.approx(np.sqrt(5), rel=0.2)


def test_replicates_of_a_single_class_are_left_out_and_counted() -> None:
    target, score, patient = np.array([1, 0, 0]), np.array([0.9, 0.2, 0.3]), np.array(["a", "b", "c"])
    made = bootstrap.estimate(target, score, patient, replicates=400)
    values = bootstrap.replicate_metrics(target, score, patient, 400, 1)["auroc"]
    assert made.degenerate == np.isnan(values).sum()
    # A draw of three patients lacks the only melanoma with chance 8/27, or is nothing but it with 1/27.
    assert made.degenerate / 400 == pytest.approx(9 / 27, abs=0.08)
    assert made.metrics["auroc"] == (1.0, 1.0, 1.0)


def test_one_patient_of_one_class_each_still_gives_a_value_without_an_interval() -> None:
    made = bootstrap.estimate([1, 0], [0.9, 0.1], ["a", "b"], replicates=1, seed=0)
    assert made.metrics["auroc"].value == 1.0


def test_the_whole_challenge_takes_seconds() -> None:
    generator = np.random.default_rng(0)
    n = 33126
    target = (generator.random(n) < 584 / n).astype(int)
    probability, patient = generator.random(n), generator.integers(0, 2056, n)
    start = time.perf_counter()
    bootstrap.estimate(target, probability, patient, replicates=2000)
    assert time.perf_counter() - start < 15  # under 1 s on an idle core
