"""Random numbers: uniform, independent, and another seed for each of its parts."""

import numpy as np

from melanoma.common.rng import derived_seed, uniforms


def test_random_numbers_are_uniform_and_independent_over_streams_and_positions():
    draws = uniforms(1, 0, np.arange(20_000), 5)
    assert draws.min() >= 0 and draws.max() < 1
    np.testing.assert_allclose(draws.mean(axis=0), 0.5, atol=0.01)
    np.testing.assert_allclose(draws.var(axis=0), 1 / 12, atol=0.003)
    assert np.abs(np.corrcoef(draws.T) - np.eye(5)).max() < 0.03
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 0.03


def test_derived_seeds_differ_by_every_part():
    seeds = {derived_seed(a, b, c) for a in range(10) for b in range(10) for c in range(10)}
    assert len(seeds) == 1000
