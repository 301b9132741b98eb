"""How well scores tell melanoma from benign among images of one kind, and what of them something else explains.

Measures as those of `metrics`: a sparse matrix whose product with weights gives sums, and metrics of these sums.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from melanoma.stats.metrics import indicators, ratio

FEWEST_TO_RANK = 3  # images of a patient among which a melanoma's place is worth counting


class WithinStrata:
    """The AUROC among images of one stratum, such as a size: the share of pairs in the right order, over all strata."""

    def __init__(self, target: ArrayLike, score: ArrayLike, stratum: ArrayLike) -> None:
        """Take `target` 0/1, `score` and `stratum`, each (n,)."""
        melanoma = np.asarray(target) == 1
        _, code = np.unique(np.asarray(stratum), return_inverse=True)
        falling, place = np.unique(-np.asarray(score, np.float64), return_inverse=True)
        key = code.astype(np.int64) * len(falling) + place
        steps = np.unique(key[melanoma])
        step = np.searchsorted(steps, key)
        of_step = steps // len(falling)
        passed = ~melanoma & (step < len(steps))
        passed[passed] = of_step[step[passed]] == code[passed]
        tied = passed.copy()
        tied[passed] = steps[step[passed]] == key[passed]
        self.first = np.searchsorted(of_step, of_step)  # step of the stratum, for each step
        known, self.stratum = np.unique(of_step, return_inverse=True)
        row = np.searchsorted(known, code)
        benign = ~melanoma & (row < len(known))
        benign[benign] = known[row[benign]] == code[benign]
        by_step = [indicators(step, members, len(steps)) for members in (melanoma, passed, tied)]
        self.matrix = sparse.vstack([*by_step, indicators(row, benign, len(known))], format="csr")
        by_stratum = [np.bincount(row[members], minlength=len(known)) for members in (melanoma, benign)]
        self.counts = {"pairs": int(by_stratum[0] @ by_stratum[1])}

    def metrics(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Return auroc; NaN without a melanoma and a benign image in one stratum."""
        gained, passed, tied = np.split(sums[: 3 * len(self.first)], 3)
        benign = sums[3 * len(self.first) :][self.stratum]
        counted = np.cumsum(passed, axis=0)
        false = counted - (counted - passed)[self.first]
        return {"auroc": ratio((gained * (benign - false + tied / 2)).sum(axis=0), (gained * benign).sum(axis=0))}


class WithinPatient:
    """Whether a melanoma stands out among the images of its patient, whose weight counts for all of them alike.

    A patient drawn twice is two patients, each with the pairs that the one had; so the clusters must be the patients.
    """

    def __init__(self, target: ArrayLike, score: ArrayLike, patient: ArrayLike) -> None:
        """Take `target` 0/1, `score` and `patient`, each (n,)."""
        rows = pd.DataFrame({"target": np.asarray(target), "score": np.asarray(score, np.float64), "of": patient})
        images = rows.groupby("of")["score"]
        count = images.transform("size")
        benign = count - rows.groupby("of")["target"].transform("sum")
        among_melanomas = rows.groupby(["of", "target"])["score"].rank()
        melanoma = rows["target"] == 1
        won = (images.rank() - among_melanomas).where(melanoma, 0.0)
        ranked = melanoma & (benign > 0) & (count >= FEWEST_TO_RANK)
        first = images.rank(method="max", ascending=False) == 1
        columns = [won, benign.where(melanoma, 0), first & ranked, ranked, (1 / count).where(ranked, 0.0)]
        self.matrix = sparse.csr_array(np.stack([np.asarray(column, np.float64) for column in columns]))
        self.counts = {"pairs": int(benign[melanoma].sum()), "ranked": int(ranked.sum())}

    def metrics(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Return auroc over pairs of one patient; first, the share of melanomas that outscore all other images of their
        patient, of those with a benign image and `FEWEST_TO_RANK` in all; and chance, what first is for random scores.
        """
        won, pairs, first, ranked, chance = sums
        return {"auroc": ratio(won, pairs), "first": ratio(first, ranked), "chance": ratio(chance, ranked)}


class RSquared:
    """The share of a number's variance that a prediction of it explains, R2; 0 or less is nothing."""

    def __init__(self, number: ArrayLike, predicted: ArrayLike) -> None:
        """Take the number and its prediction, each (n,)."""
        number = np.asarray(number, np.float64)
        error = (number - np.asarray(predicted)) ** 2
        self.matrix = sparse.csr_array(np.stack([np.ones(len(number)), number, number**2, error]))

    def metrics(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Return r2."""
        count, total, square, error = sums
        return {"r2": 1 - ratio(error, square - ratio(total**2, count))}
