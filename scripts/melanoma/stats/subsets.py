"""Measures of some of the images, and a test whether a metric is the same in several of these subsets."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special

from melanoma.stats.metrics import Floats, Measure


class Among:
    """A measure of some of the images, as a measure of all of them, so that subsets share the draws of patients."""

    def __init__(self, measure: Measure, members: NDArray[np.bool_]) -> None:
        """Take a measure of the `members`, bool (n,), in their order."""
        inner, place = measure.matrix, np.flatnonzero(members)
        self.measure = measure
        self.matrix = sparse.csr_array(
            (inner.data, place[inner.indices], inner.indptr), shape=(inner.shape[0], len(members))
        )

    def metrics(self, sums: Floats) -> dict[str, Floats]:
        """Return the metrics of the measure."""
        return self.measure.metrics(sums)


class EqualityTest(NamedTuple):
    """Wald's test of the hypothesis that a metric is the same in all subsets."""

    chi2: float
    df: int
    p: float


def equality_test(values: Floats, replicated: Floats, n_clusters: NDArray[np.integer]) -> EqualityTest | None:
    """Test the values of k subsets, (k,), by their replicates of the same draws, (k, replicates).

    The statistic is (C v)' (C V C')^-1 C v, where C gives the differences to the first subset. V is the covariance over
    the replicates in which every subset has a value; so patients with images in several subsets are taken into account.
    The variance of a subset is multiplied by m / (m - 1) for its m independent patients, `n_clusters`, as in
    `comparison.paired_test`. None if the covariance has no inverse, as where a metric is 1 in all replicates.
    """
    defined = replicated[:, ~np.isnan(replicated).any(axis=0)]
    if len(values) < 2 or defined.shape[1] <= len(values):
        return None
    factor = np.sqrt(n_clusters / (n_clusters - 1))
    covariance = np.cov(defined, ddof=0) * factor[:, None] * factor
    contrast = np.column_stack([-np.ones(len(values) - 1), np.eye(len(values) - 1)])
    difference = contrast @ values
    spread = contrast @ covariance @ contrast.T
    if np.linalg.matrix_rank(spread) < len(difference):
        return None
    chi2 = float(difference @ np.linalg.solve(spread, difference))
    return EqualityTest(chi2, len(difference), float(special.chdtrc(len(difference), chi2)))
