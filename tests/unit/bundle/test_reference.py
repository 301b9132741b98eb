"""Training images as a bundle remembers them: an unseen image is as near as others, a different one is far away."""

import numpy as np
import pandas as pd
import pytest

from melanoma.bundle.reference import Reference, colors, sample

WIDTH = 16


class Embedder:
    """Gives the embeddings that it gets."""

    def predict(self, examples, tta):
        return None, examples


class Store:
    """Images of one color each."""

    def __init__(self, *rgb: tuple[int, int, int]) -> None:
        self.images = np.array([np.full((8, 8, 3), color, np.uint8) for color in rgb])

    def read(self, rows):
        return self.images[rows]


def embeddings(count: int, seed: int) -> np.ndarray:
    """Return vectors near the first axis."""
    return (np.random.default_rng(seed).normal(0, 0.1, (count, WIDTH)) + np.eye(WIDTH)[0]).astype(np.float32)


@pytest.fixture
def reference() -> Reference:
    return Reference.measure(Embedder(), None, embeddings(400, 0), embeddings(200, 1))


def test_about_one_unseen_image_in_a_hundred_is_beyond_the_limit(reference):
    assert 0.002 < (reference.distance(embeddings(5000, 2)) > reference.limit).mean() < 0.03


def test_a_different_image_is_far_away_whatever_its_length(reference):
    others = np.random.default_rng(3).normal(size=(50, WIDTH)).astype(np.float32)
    distance = reference.distance(others)
    assert (distance > reference.limit).all() and reference.distance(3 * others) == pytest.approx(distance, abs=1e-6)


def test_a_file_gives_back_the_distances(reference):
    again = Reference.from_bytes(reference.to_bytes(), reference.limit)
    others = embeddings(5, 4)
    assert np.array_equal(again.distance(others), reference.distance(others))


def test_a_training_embedding_is_at_distance_nearly_0_if_it_is_there_often():
    reference = Reference(np.tile(np.eye(WIDTH, dtype=np.float32)[:1], (5, 1)), 0.0)
    assert reference.distance(np.eye(WIDTH, dtype=np.float32)[:2]) == pytest.approx([0, 1])


def test_colors_of_images():
    measured = colors(Store((128, 128, 128), (200, 60, 60), (60, 60, 200)), np.arange(3))
    assert measured.iloc[0].abs().max() < 1
    assert measured["redness"].iloc[1] > 20 and measured["yellowness"].iloc[2] < -20


def test_a_sample_is_the_same_each_time_and_not_larger_than_the_rows():
    rows = pd.DataFrame({"image": range(10)})
    assert sample(rows, 5).equals(sample(rows, 5)) and len(sample(rows, 99)) == 10
