"""Conformal sets: the classes that a prediction does not exclude at a chosen error rate.

Split conformal prediction for each class on its own (Vovk, Machine Learning 92:349, 2013). Images of one patient are
not exchangeable with those of others, so each patient of the calibration counts once: as the mean over all ways to draw
one image of each patient (Dunn, Wasserman and Ramdas, JASA 118:2491, 2023).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def patient_weights(patient: ArrayLike) -> Floats:
    """Return the weight of each image, (n,): one by the number of images of its patient."""
    _, code, count = np.unique(np.asarray(patient, dtype=str), return_inverse=True, return_counts=True)
    return 1.0 / count[code]


def p_values(scores: ArrayLike, weights: ArrayLike, score: ArrayLike) -> Floats:
    """Return for each new `score`, (m,), the p-value of its being of the class of the calibration `scores`, (n,).

    A score says how well an image fits the class. The p-value is the share of the patients whose images fit no better,
    where the new image counts as one more patient. `weights`, (n,), are those of `patient_weights`.
    """
    scores, weights = np.asarray(scores, np.float64), np.asarray(weights, np.float64)
    order = np.argsort(scores, kind="stable")
    cumulated = np.concatenate([[0.0], np.cumsum(weights[order])])
    no_better = cumulated[np.searchsorted(scores[order], np.asarray(score, np.float64), side="right")]
    return np.asarray((no_better + 1.0) / (cumulated[-1] + 1.0))
