"""Nearest neighbors: the probability is a share that can be counted by hand, and copies of a model predict the same."""

import json
from math import sqrt

import numpy as np
import pytest

from melanoma.common.errors import InputError
from melanoma.models.nearest_neighbors import COUNTS, Gallery, Neighbors, fit_neighbors

DRAW = np.random.default_rng(0)


def gallery(count=120, width=8, signal=2.0, seed=0) -> Gallery:
    """Return features whose first column is higher for melanomas."""
    draw = np.random.default_rng(seed)
    target = draw.integers(0, 2, count)
    features = draw.normal(size=(count, width)).astype(np.float32)
    features[:, 0] += signal * target
    return Gallery(features, target)


def patients(count: int) -> np.ndarray:
    return np.arange(count).astype(str)


def by_hand(known: Gallery, rows, query, count: int) -> float:
    """Return the probability of one image, from the definition, in plain Python."""
    distances = []
    for row in rows:
        one = [float(value) for value in known.features[row]]
        product = sum(a * b for a, b in zip(one, query, strict=True))
        lengths = sqrt(sum(a * a for a in one)) * sqrt(sum(b * b for b in query))
        distances.append((1 - product / lengths, int(known.target[row])))
    nearest = sorted(distances, key=lambda pair: pair[0])[:count]
    weights = [1 / max(distance, 1e-6) for distance, _ in nearest]
    share = sum(weight * target for weight, (_, target) in zip(weights, nearest, strict=True)) / sum(weights)
    prevalence = sum(int(known.target[row]) for row in rows) / len(rows)
    return (count * share + prevalence) / (count + 1)


@pytest.mark.parametrize("count", [1, 7, 90])
def test_the_probability_is_the_weighted_share_that_brute_force_counts(count):
    known, rows = gallery(), np.arange(0, 120)[DRAW.permutation(120) < 90]
    queries = gallery(300, seed=1).features
    found = Neighbors(known, rows, count).predict(queries)
    expected = [by_hand(known, rows, [float(value) for value in query], count) for query in queries]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert 0 < found.min() < found.max() < 1


def test_a_copy_of_a_training_image_decides_and_of_equal_distances_the_first_counts():
    features = np.array([[1, 0], [2, 0], [0, 1], [3, 0]], np.float32)
    known, rows = Gallery(features, np.array([1, 0, 0, 0])), np.arange(4)
    one = Neighbors(known, rows, 1).predict(np.array([[5.0, 0.0]]))
    np.testing.assert_allclose(one, (1 + 0.25) / 2)
    two = Neighbors(known, rows, 2).predict(np.array([[5.0, 0.0]]))
    np.testing.assert_allclose(two, (2 * 0.5 + 0.25) / 3)


def test_the_length_of_features_does_not_matter_and_features_of_zeros_have_a_probability():
    known, queries = gallery(), gallery(20, seed=1).features
    model = Neighbors(known, np.arange(120), 5)
    np.testing.assert_allclose(model.predict(queries), model.predict(8 * queries), rtol=1e-12)
    assert 0 < model.predict(np.zeros((1, 8)))[0] < 1


def test_the_number_of_neighbors_is_chosen_in_folds_of_patients():
    """Images of a patient resemble each other: such a neighbor tells the class, and one of another patient does not."""
    draw = np.random.default_rng(0)
    target = np.repeat(draw.integers(0, 2, 60), 4)
    features = np.repeat(draw.normal(size=(60, 20)), 4, axis=0) + 0.5 * draw.normal(size=(240, 20))
    known, rows = Gallery(features.astype(np.float32), target), np.arange(240)
    by_patient = fit_neighbors(known, rows, np.repeat(np.arange(60), 4).astype(str), 1, None).n_neighbors
    by_image = fit_neighbors(known, rows, patients(240), 1, None).n_neighbors
    assert by_image <= 5 and by_patient >= 50 and {by_image, by_patient} <= set(COUNTS)


def test_a_given_number_is_kept_and_more_neighbors_than_images_are_an_error():
    known, rows = gallery(), np.arange(40)
    assert fit_neighbors(known, rows, patients(40), 1, 33).n_neighbors == 33
    with pytest.raises(InputError, match=r"n_neighbors is 41, and a training has only 40 images"):
        fit_neighbors(known, rows, patients(40), 1, 41)


def test_a_number_cannot_be_chosen_from_one_patient():
    with pytest.raises(InputError, match="all training images are of one patient"):
        fit_neighbors(gallery(), np.arange(9), np.full(9, "p"), 1, None)


def test_a_model_and_its_gallery_are_plain_values_that_predict_the_same_bits():
    known, queries = gallery(), gallery(20, seed=1).features
    model = Neighbors(known, np.arange(3, 99), 9)
    values, shared = json.loads(json.dumps([model.to_dict(), known.to_dict()]))
    again = Neighbors.from_dict(values, Gallery.from_dict(shared))
    np.testing.assert_array_equal(again.predict(queries), model.predict(queries))
    assert "features" not in values
