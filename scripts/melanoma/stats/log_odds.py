"""Probabilities as log-odds. A probability of exactly 0 or 1 is clipped, so that its logarithm stays finite."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

EPSILON = float(np.finfo(np.float64).eps)  # the least distance of a clipped probability from 0 and 1


def clipped(probability: ArrayLike) -> NDArray[np.float64]:
    """Return the probabilities, clipped to `EPSILON` and 1 - `EPSILON`: float64 of the same shape."""
    return np.clip(np.asarray(probability, np.float64), EPSILON, 1.0 - EPSILON)


def logit(probability: ArrayLike) -> NDArray[np.float64]:
    """Return log(p / (1 - p)) of the clipped probabilities, from -36.04 to 36.04: float64 of the same shape."""
    p = clipped(probability)
    return np.asarray(np.log(p) - np.log1p(-p), np.float64)


def sigmoid(log_odds: ArrayLike) -> NDArray[np.float64]:
    """Return the probabilities 1 / (1 + exp(-log_odds)): float64 of the same shape."""
    return np.asarray(expit(log_odds), np.float64)
