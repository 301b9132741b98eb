"""A linear probe chooses its penalty inside its training rows, by patients, and learns what features show."""

import numpy as np
import pytest

from melanoma.common.errors import InputError
from melanoma.models.linear_probe import PENALTIES, fit_probe
from melanoma.stats.metrics import auroc


def cohort(count=400, width=30, signal=1.0, seed=0):
    """Return features, targets and patients (two images each); the first feature tells the class of the patient."""
    draw = np.random.default_rng(seed)
    target = np.repeat(draw.integers(0, 2, count // 2), 2)
    columns = draw.normal(size=(count, width))
    columns[:, 0] += signal * target
    return columns, target, np.repeat(np.arange(count // 2), 2).astype(str)


def test_it_learns_what_a_feature_shows():
    probe = fit_probe(*cohort(signal=3.0), seed=1)
    columns, target, _ = cohort(signal=3.0, seed=1)
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
    by_patient, by_image = (fit_probe(columns, target, unit, seed=1).penalty for unit in (patient, image))
    assert by_patient > 10 * by_image


def test_the_scale_and_the_origin_of_a_feature_do_not_matter():
    columns, target, patient = cohort()
    same = fit_probe(columns * 100 + 7, target, patient, seed=1)
    expected = fit_probe(columns, target, patient, seed=1)
    assert same.penalty == expected.penalty
    moved = same.classifier.predict(columns * 100 + 7)
    np.testing.assert_allclose(moved, expected.classifier.predict(columns), atol=1e-5)


def test_a_class_of_one_patient_is_an_error():
    columns, _, patient = cohort()
    with pytest.raises(InputError, match="at least two must have a melanoma"):
        fit_probe(columns, (patient == "0").astype(np.int64), patient, seed=1)
