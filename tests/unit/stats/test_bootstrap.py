"""Intervals resample patients and nothing else, hold the truth as often as they promise, and cost little."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import expit, ndtr, stdtrit
from scipy.stats import binom

from calls import count_calls
from labeled_cohort import Labeled, labeled
from melanoma.stats import bootstrap, metrics

TOLERANCE = 1e-12
Cohort = tuple[np.ndarray, np.ndarray, np.ndarray]


def measures(target: np.ndarray, probability: np.ndarray) -> dict[str, metrics.Measure]:
    return {
        "ranking": metrics.Ranking(target, probability),
        "calibration": metrics.Calibration(target, probability),
        "outcomes": metrics.Outcomes(target, probability, 0.5),
        "net benefit": metrics.NetBenefit(target, probability, [0.1, 0.5]),
    }


def all_draws(clusters: int, replicates: int, seed: int) -> np.ndarray:
    return np.concatenate(list(bootstrap.draw(clusters, replicates, seed)), axis=1)


def cohort(seed: int, patients: int, images: int, correlation: float, shift: float = 1.0) -> Cohort:
    """Draw labels, probabilities and patients, whose images' scores are correlated; the AUROC is known."""
    generator = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), images)
    target = (generator.random(patients * images) < 0.2).astype(int)
    shared = np.sqrt(correlation) * generator.normal(size=patients)[patient]
    own = np.sqrt(1 - correlation) * generator.normal(size=len(target))
    return target, expit(shift * target + shared + own), patient


@settings(max_examples=30)
@given(labeled(), st.integers(1, 8), st.integers(0, 99))
def test_a_replicate_is_the_metric_on_the_rows_of_the_patients_drawn(data: Labeled, patients: int, seed: int) -> None:
    target, score, _ = data
    cluster = np.arange(len(target)) % patients
    known = len(np.unique(cluster))
    replicated = bootstrap.Resampling(measures(target, score), [f"p{c}" for c in cluster]).replicate(6, seed)
    for number, drawn in enumerate(all_draws(known, 6, seed).T.astype(int)):
        rows = np.concatenate([np.flatnonzero(cluster == c) for c in np.repeat(np.arange(known), drawn)])
        for kind, measure in measures(target[rows], score[rows]).items():
            for name, value in metrics.measured(measure).items():
                made = replicated[kind][name][number]
                assert made == pytest.approx(value, abs=TOLERANCE, nan_ok=True), name


@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 99))
def test_each_replicate_draws_as_many_patients_as_there_are(patients: int, replicates: int, seed: int) -> None:
    draws = all_draws(patients, replicates, seed)
    assert draws.shape == (patients, replicates)
    assert (draws.sum(axis=0) == patients).all()


@given(st.integers(1, 30), st.integers(1, 100), st.integers(1, 100))
def test_more_replicates_begin_with_those_of_fewer(patients: int, few: int, more: int) -> None:
    assert np.array_equal(all_draws(patients, few + more, 1)[:, :few], all_draws(patients, few, 1))


def test_all_models_are_evaluated_on_the_same_draws_in_any_order() -> None:
    target, probability, patient = cohort(0, 40, 5, 0.5)
    alone = bootstrap.Resampling({"a": metrics.Ranking(target, probability)}, patient).replicate(50, 1)["a"]
    shuffled = np.random.default_rng(0).permutation(len(target))
    several = {
        "b": metrics.Calibration(target[shuffled], probability[shuffled]),
        "a": metrics.Ranking(target[shuffled], probability[shuffled]),
    }
    together = bootstrap.Resampling(several, patient[shuffled]).replicate(50, 1)["a"]
    assert all(np.array_equal(alone[name], together[name]) for name in alone)


def test_an_interval_holds_its_value_and_the_same_seed_gives_it_again() -> None:
    target, probability, patient = cohort(0, 60, 5, 0.5)
    measure = measures(target, probability)
    made = bootstrap.estimate(measure, target, patient, replicates=500)
    assert made == bootstrap.estimate(measure, target, patient, replicates=500)
    assert made != bootstrap.estimate(measure, target, patient, replicates=500, seed=2)
    for kind in made.values():
        for name, estimated in kind.items():
            assert estimated.low < estimated.high
            assert estimated.low <= estimated.value <= estimated.high, name


def test_more_confidence_is_a_wider_interval() -> None:
    target, probability, patient = cohort(0, 60, 5, 0.5)
    ranking = {"a": metrics.Ranking(target, probability)}
    narrow, wide = (
        bootstrap.estimate(ranking, target, patient, 500, confidence)["a"]["auroc"] for confidence in (0.5, 0.95)
    )
    assert wide.low < narrow.low < narrow.high < wide.high


def test_images_of_a_patient_that_are_alike_widen_the_interval() -> None:
    target, probability, _ = (np.repeat(column, 5) for column in cohort(1, 400, 1, 0.5))
    ranking = {"a": metrics.Ranking(target, probability)}
    by_patient = bootstrap.estimate(ranking, target, np.repeat(np.arange(400), 5), 500)["a"]["auroc"]
    by_image = bootstrap.estimate(ranking, target, np.arange(2000), 500)["a"]["auroc"]
    ratio = (by_patient.high - by_patient.low) / (by_image.high - by_image.low)
    assert ratio == pytest.approx(np.sqrt(5), rel=0.2)


def uniform(left_out: list[float], times: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return replicates, a level being its own percentile, and values without each group that vary `times` as much."""
    replicated, groups = np.linspace(0, 1, 10_001), np.array(left_out)
    return replicated, groups * times * replicated.std() / bootstrap.jackknife_error(groups)


def test_levels_are_moved_outwards_where_few_patients_have_the_rarer_class() -> None:
    replicated, even = uniform([0.4, 0.6])
    few, many = (bootstrap.interval(0.5, replicated, even, 0.95, n_clusters) for n_clusters in (10, 10**9))
    assert (many.low, many.high) == (pytest.approx(0.025), pytest.approx(0.975))
    # Student's t of 9 degrees of freedom is 2.262, times the root of 10/9.
    assert (few.low, few.high) == (pytest.approx(ndtr(-2.3845), abs=1e-4), pytest.approx(ndtr(2.3845), abs=1e-4))


def test_levels_are_moved_to_the_side_on_which_the_error_grows() -> None:
    # Without one patient the metric is much lower, so more like it may come.
    replicated, skewed = uniform([0.0] * 9 + [-1.0])
    made = bootstrap.interval(0.5, replicated, skewed, 0.95, 10**9)
    a, n_clusters = bootstrap.acceleration(skewed), bootstrap.effective_clusters(skewed)
    level = np.sqrt(n_clusters / (n_clusters - 1)) * stdtrit(n_clusters - 1, 0.975)
    assert a == pytest.approx((0.9**3 - 9 * 0.1**3) / 6 / (0.9**2 + 9 * 0.1**2) ** 1.5)
    assert made.low == pytest.approx(ndtr(-level / (1 + level * a)), abs=1e-4)
    assert made.high == pytest.approx(ndtr(level / (1 - level * a)), abs=1e-4)


def test_levels_are_moved_outwards_where_a_few_patients_make_the_metric_what_it_is() -> None:
    replicated, heavy = uniform([0.4] * 5 + [0.5] * 90 + [0.6] * 5)  # a kurtosis of 10, so 200 / 9 degrees of freedom
    assert bootstrap.effective_clusters(heavy) == pytest.approx(1 + 200 / 9)
    made = bootstrap.interval(0.5, replicated, heavy, 0.95, 10**9)
    level = np.sqrt(1 + 9 / 200) * stdtrit(200 / 9, 0.975)
    assert (made.low, made.high) == (pytest.approx(ndtr(-level), abs=1e-4), pytest.approx(ndtr(level), abs=1e-4))
    assert made == bootstrap.interval(0.5, replicated, heavy, 0.95, 24)  # not outwards twice
    assert made != bootstrap.interval(0.5, replicated, heavy, 0.95, 23)


@pytest.mark.parametrize("name", sorted(bootstrap.SUMS_OF_RISKS))
def test_where_sums_of_risks_are_compared_only_patients_that_make_the_variance_count(name: str) -> None:
    replicated, heavy = uniform([0.4] * 5 + [0.5] * 90 + [0.6] * 5)  # ten groups of the same influence
    assert bootstrap.contributing_clusters(heavy) == pytest.approx(11)
    made = bootstrap.metric_interval(name, 0.5, replicated, heavy, 0.95, 10**9)
    assert made == bootstrap.interval(0.5, replicated, heavy, 0.95, 11)
    assert made == bootstrap.metric_interval(name, 0.5, replicated, heavy, 0.95, 11)  # not outwards twice
    assert made != bootstrap.metric_interval(name, 0.5, replicated, heavy, 0.95, 10)
    plain = bootstrap.metric_interval("calibration_slope", 0.5, replicated, heavy, 0.95, 10**9)
    assert made.low < plain.low < plain.high < made.high


def test_both_ends_of_an_average_precision_are_further_down_where_its_replicates_are_too_high() -> None:
    """A sample without the few patients whose benign images have the highest scores has too high a value."""
    replicated, heavy = uniform([0.4] * 5 + [0.5] * 90 + [0.6] * 5)  # ten groups of the same influence
    made = bootstrap.metric_interval("average_precision", 0.47, replicated, heavy, 0.8, 10**9)
    bias, (low, high) = 0.03 / np.hypot(1 / np.sqrt(12), 0.03), bootstrap.PRECISION_BIAS
    few, many = (np.sqrt(1 + 1 / df) * stdtrit(df, 0.9) for df in (10, 200 / 9))
    assert made.low == pytest.approx(ndtr(-few - low * bias), abs=1e-4)
    assert made.high == pytest.approx(ndtr(many - high * bias), abs=1e-4)
    assert np.isnan(bootstrap.metric_interval("average_precision", 0.47, replicated, heavy, 0.8, 1).low)


def test_too_low_replicates_of_an_average_precision_have_the_correction_of_other_metrics() -> None:
    replicated, even = uniform([0.4, 0.6])
    made = bootstrap.metric_interval("average_precision", 0.53, replicated, even, 0.8, 10**9)
    few, many = (bootstrap.interval(0.53, replicated, even, 0.8, n_clusters) for n_clusters in (3, 10**9))
    assert (made.low, made.high) == (few.low, many.high)


@pytest.mark.parametrize("times", [0.7, 1.0, 1.5])
def test_levels_are_counted_in_the_mean_of_the_bootstraps_variance_and_the_jackknifes(times: float) -> None:
    made = bootstrap.interval(0.5, *uniform([0.4, 0.6], times), 0.95, 10**9)
    level = 1.96 * np.sqrt((1 + times**2) / 2)
    assert (made.low, made.high) == (pytest.approx(ndtr(-level), abs=1e-4), pytest.approx(ndtr(level), abs=1e-4))


@pytest.mark.parametrize("left_out", [[0.5, 0.5], [np.nan, np.nan]])
def test_a_jackknife_that_tells_nothing_leaves_the_bootstraps_variance(left_out: list[float]) -> None:
    made = bootstrap.interval(0.5, np.linspace(0, 1, 10_001), np.array(left_out), 0.95, 10**9)
    assert (made.low, made.high) == (pytest.approx(0.025, abs=1e-4), pytest.approx(0.975, abs=1e-4))


def test_the_jackknifes_error_of_a_mean_is_the_bootstraps() -> None:
    values = np.random.default_rng(0).exponential(size=50)
    left_out = (values.sum() - values) / 49
    assert bootstrap.jackknife_error(left_out) == pytest.approx(values.std() / np.sqrt(50))


def test_levels_are_counted_from_the_value_and_the_outer_end_is_moved_once_more() -> None:
    # The mean of the replicates is 0.5, and their root mean square distance from the value that of both added up.
    shift = 0.1 / np.hypot(1 / np.sqrt(12), 0.1)
    above = bootstrap.interval(0.4, *uniform([0.4, 0.6]), 0.95, 10**9)
    assert above.low == pytest.approx(ndtr(-1.96 - 2 * shift), abs=1e-4)
    assert above.high == pytest.approx(ndtr(1.96 - shift), abs=1e-4)
    below = bootstrap.interval(0.6, *uniform([0.4, 0.6]), 0.95, 10**9)
    assert below.low == pytest.approx(1 - above.high, abs=1e-4)
    assert below.high == pytest.approx(1 - above.low, abs=1e-4)


def test_of_a_non_smooth_metric_the_jackknife_tells_the_side_alone() -> None:
    replicated, heavy = uniform([0.0] * 5 + [0.5] * 90 + [1.0] * 5, times=2.0)
    made = bootstrap.non_smooth_interval(0.4, replicated, heavy, 0.95, 10**9)
    assert (made.low, made.high) == (pytest.approx(0.025, abs=1e-4), pytest.approx(0.975, abs=1e-4))
    replicated, skewed = uniform([0.0] * 9 + [-1.0], times=2.0)
    made = bootstrap.non_smooth_interval(0.4, replicated, skewed, 0.95, 10**9)
    a = bootstrap.acceleration(skewed)
    assert made.low == pytest.approx(ndtr(-1.96 / (1 + 1.96 * a)), abs=1e-4)
    assert made.high == pytest.approx(ndtr(1.96 / (1 - 1.96 * a)), abs=1e-4)


@pytest.mark.parametrize("kind", [bootstrap.interval, bootstrap.non_smooth_interval])
@given(st.integers(2, 300), st.floats(-1, 2), st.floats(0, 3), st.integers(0, 99))
def test_an_interval_holds_its_value_and_else_only_what_replicates_are(
    kind: Callable[..., bootstrap.Estimate], groups: int, value: float, power: float, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    replicated, left_out = generator.random(101) ** power, generator.standard_cauchy(groups)
    assume(min(replicated.min(), value) < 1)  # else the interval is the exact one, see below
    made = kind(value, replicated, left_out, 0.95, groups)
    assert min(replicated.min(), value) <= made.low <= value <= made.high <= max(replicated.max(), value)


def test_effective_clusters_are_those_of_which_a_variance_varies_as_much() -> None:
    generator = np.random.default_rng(0)
    drawn = generator.standard_t(12, size=(4000, 200))
    variances = drawn.var(axis=1)
    freedom = 2 * variances.mean() ** 2 / variances.var()
    assert np.median([bootstrap.effective_clusters(row) for row in drawn]) == pytest.approx(freedom, rel=0.15)


@given(st.integers(3, 300), st.integers(0, 99))
def test_effective_clusters_are_three_or_more_whatever_the_metric_is_measured_in(groups: int, seed: int) -> None:
    left_out = np.random.default_rng(seed).standard_cauchy(groups)
    n_clusters = bootstrap.effective_clusters(left_out)
    assert n_clusters >= 3
    assert bootstrap.effective_clusters(left_out * 1e-120) == pytest.approx(n_clusters)
    one = np.arange(groups) == 0
    assert bootstrap.effective_clusters(one.astype(np.float64)) >= 3


@pytest.mark.parametrize("left_out", [[0.5, 0.5, 0.5], [0.4, 0.6, 0.4, 0.6], [0.4, 0.6, np.nan], [np.nan], [0.5]])
def test_influences_that_are_equally_large_or_none_bound_no_units(left_out: list[float]) -> None:
    assert bootstrap.effective_clusters(np.array(left_out)) == np.inf


@given(st.integers(2, 12), st.integers(0, 99))
def test_the_interval_of_a_handful_of_patients_is_wide_and_holds_the_median(patients: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    replicated, left_out = generator.random(501), generator.random(patients) ** 9
    made = bootstrap.interval(0.5, replicated, left_out, 0.95, patients)
    assert replicated.min() <= made.low < np.median(replicated) < made.high <= replicated.max()


@given(st.integers(1, 500), st.integers(0, 99))
def test_the_jackknife_leaves_out_each_patient_once(patients: int, seed: int) -> None:
    weights = np.concatenate(list(bootstrap.leave_out(patients, seed)), axis=1)
    assert weights.shape == (patients, min(patients, bootstrap.GROUPS))
    assert ((weights == 0).sum(axis=1) == 1).all()
    assert np.ptp((weights == 0).sum(axis=0)) <= 1


def test_the_rarer_class_is_counted_in_patients() -> None:
    assert bootstrap.independent_clusters([1, 1, 1, 0, 0, 0, 0], ["a", "a", "b", "a", "b", "c", "d"]) == 2
    assert bootstrap.independent_clusters([0, 1, 1, 1], ["a", "a", "b", "c"]) == 1


def test_replicates_of_a_single_class_are_left_out_and_counted() -> None:
    target, score, patient = [1, 1, 0, 0, 0], [0.9, 0.1, 0.2, 0.3, 0.4], list("abcde")
    made = bootstrap.estimate({"a": metrics.Ranking(target, score)}, target, patient, replicates=2000)["a"]["auroc"]
    # A draw of five patients lacks both melanomas with chance (3/5)^5, or all benign images with (2/5)^5.
    assert made.undefined / 2000 == pytest.approx(0.6**5 + 0.4**5, abs=0.02)
    assert 0 <= made.low < made.high <= 1


def test_an_undefined_metric_has_no_interval() -> None:
    made = bootstrap.interval(np.nan, np.array([np.nan, np.nan]), np.array([np.nan]), 0.95, 10)
    assert np.isnan([made.value, made.low, made.high]).all()
    assert made.undefined == 2


def test_one_patient_of_one_class_gives_a_value_without_an_interval() -> None:
    made = bootstrap.estimate({"a": metrics.Ranking([1, 0], [0.9, 0.1])}, [1, 0], ["a", "b"], replicates=10)
    assert made["a"]["auroc"].value == 1.0
    assert np.isnan(made["a"]["auroc"].low) and np.isnan(made["a"]["auroc"].high)


@pytest.mark.large
@pytest.mark.parametrize("correlation", [0.0, 0.7])
def test_intervals_hold_the_truth_as_often_as_they_promise(correlation: float) -> None:
    """benchmarks/coverage.py does so with 2,000 cohorts, and publishes the figures of all metrics."""
    held = 0
    for seed in range(200):
        target, probability, patient = cohort(seed, 300, 3, correlation, shift=1.5)
        ranking = {"a": metrics.Ranking(target, probability)}
        made = bootstrap.estimate(ranking, target, patient, 200, seed=seed)["a"]["auroc"]
        held += made.low <= ndtr(1.5 / np.sqrt(2)) <= made.high
    assert held / 200 == pytest.approx(0.95, abs=0.04)


@pytest.mark.large
def test_intervals_hold_the_average_precision_where_few_patients_tell_much_of_it() -> None:
    """It is curved and has a long tail: percentiles alone hold it in 90 % of such cohorts."""
    truth = float(metrics.average_precision(*cohort(10**6, 40_000, 10, 0.7, shift=2.0)[:2]))
    held = 0
    for seed in range(300):
        target, probability, patient = cohort(seed, 60, 10, 0.7, shift=2.0)
        ranking = {"a": metrics.Ranking(target, probability)}
        made = bootstrap.estimate(ranking, target, patient, 200, seed=seed)["a"]["average_precision"]
        held += made.low <= truth <= made.high
    assert held / 300 == pytest.approx(0.95, abs=0.04)


def test_no_loop_of_python_runs_over_images_or_patients() -> None:
    def work(images: int, patients: int) -> int:
        generator = np.random.default_rng(0)
        target, score = generator.integers(0, 2, images), generator.random(images)
        resampling = bootstrap.Resampling(
            {"model": metrics.Ranking(target, score)}, generator.integers(0, patients, images)
        )
        return count_calls(lambda: resampling.replicate(200, 1))

    work(100, 10)  # the first replicates also import and compile
    assert work(1_000, 100) == work(8_000, 100) == work(8_000, 800)


@pytest.mark.parametrize("n_clusters", [2, 6, 40])
def test_a_metric_that_is_perfect_in_every_replicate_has_the_exact_binomial_interval(n_clusters: int) -> None:
    found = bootstrap.interval(1.0, np.ones(100), np.ones(20), 0.95, n_clusters)
    assert found.high == 1.0
    # The least share at which so many successes in a row are not yet improbable.
    assert binom.sf(n_clusters - 1, n_clusters, found.low) == pytest.approx(0.025)
    reversed_ = bootstrap.metric_interval("auroc", 0.0, np.zeros(100), np.zeros(20), 0.95, n_clusters)
    assert (reversed_.low, reversed_.high) == (0.0, pytest.approx(1 - found.low))
