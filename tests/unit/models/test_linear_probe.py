"""A linear probe chooses its penalty inside its training rows, by patients, and learns what features show."""

import numpy as np
import pytest

from melanoma.common.errors import InputError
from melanoma.models.linear_probe import PENALTIES, fit_probe
from melanoma.stats.metrics import auroc


def cohort(count=400, width=30, signal=1.0, seed=0):
    """Return features, their number, targets and patients of two images; the first feature tells the class."""
    draw = np.random.default_rng(seed)
    target = np.repeat(draw.integers(0, 2, count // 2), 2)
    columns = draw.normal(size=(count, width))
    columns[:, 0] += signal * target
    return columns, width, target, np.repeat(np.arange(count // 2), 2).astype(str)


def test_it_learns_what_a_feature_shows():
    probe = fit_probe(*cohort(signal=3.0), seed=1)
    columns, _, target, _ = cohort(signal=3.0, seed=1)
    assert auroc(target, probe.classifier.predict(columns)) > 0.95


def test_a_weaker_signal_gets_a_larger_penalty():
    weak, strong = (fit_probe(*cohort(signal=signal), seed=1) for signal in (0.0, 3.0))
    assert weak.penalty > strong.penalty
    assert {weak.penalty, strong.penalty} <= set(PENALTIES)


def test_images_of_a_patient_are_never_divided_by_an_inner_fold():
    """Features that only recognize the patient are memorized in folds of images, and worthless in folds of patients."""
    draw = np.random.default_rng(0)
    target = np.repeat(draw.integers(0, 2, 60), 5)
    columns = np.repeat(draw.normal(size=(60, 80)), 5, axis=0)
    patient, image = np.repeat(np.arange(60), 5).astype(str), np.arange(300).astype(str)
    by_patient, by_image = (fit_probe(columns, 80, target, unit, seed=1).penalty for unit in (patient, image))
    assert by_patient > 10 * by_image


def test_the_scale_and_the_origin_of_a_feature_do_not_matter():
    columns, width, target, patient = cohort()
    same = fit_probe(columns * 100 + 7, width, target, patient, seed=1)
    expected = fit_probe(columns, width, target, patient, seed=1)
    assert same.penalty == expected.penalty
    moved = same.classifier.predict(columns * 100 + 7)
    np.testing.assert_allclose(moved, expected.classifier.predict(columns), atol=1e-5)


def test_a_class_of_one_patient_is_an_error():
    columns, width, _, patient = cohort()
    with pytest.raises(InputError, match="at least two must have a melanoma"):
        fit_probe(columns, width, (patient == "0").astype(np.int64), patient, seed=1)


def test_a_feature_that_is_almost_always_zero_does_not_decide_about_an_image():
    columns, width, target, patient = cohort(signal=3.0)
    columns[:, -1] = np.where(np.arange(len(columns)) == 0, 1e-6, 0)
    classifier = fit_probe(columns, width, target, patient, seed=1).classifier
    unusual = columns.copy()
    unusual[:, -1] = 0.1
    np.testing.assert_allclose(classifier.predict(unusual), classifier.predict(columns), atol=0.01)
    assert classifier.coefficients[0] > 0


def test_the_scale_of_the_features_does_not_touch_metadata():
    """The last column is metadata; features on a large scale do not shrink it."""
    columns, width, target, patient = cohort()
    large = columns.copy()
    large[:, :-1] *= 1000
    one, other = (fit_probe(each, width - 1, target, patient, seed=1) for each in (columns, large))
    np.testing.assert_allclose(one.classifier.predict(columns), other.classifier.predict(large), atol=1e-5)
