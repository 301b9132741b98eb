"""AUROC within strata and within patients, and the share of a number's variance that a prediction explains.

Each class is a measure as in `metrics`: the product of its sparse `matrix` with weights gives sums, and `metrics` turns
these sums into the named metrics.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse

from melanoma.stats.metrics import Floats, indicators, ratio

FEWEST_TO_RANK = 3  # a melanoma's rank counts among this number of images of its patient, or more


class WithinStrata:
    """The AUROC among images of one stratum, such as an image size, pooled over all strata.

    It is the share of pairs in the right order, of all pairs of a melanoma and a benign image of the same stratum. Ties
    count half. As in `metrics.Ranking`, a step s is a distinct score of a melanoma, here in its own stratum:

        AUROC = sum_s gained_s * (benign_s - false_s + tied_s / 2) / sum_s gained_s * benign_s

    gained_s counts the melanomas with the score of the step, benign_s the benign images of its stratum, false_s those
    of them with this score or a higher one, and tied_s those with exactly this score.
    """

    def __init__(self, target: ArrayLike, score: ArrayLike, stratum: ArrayLike) -> None:
        """Take `target` 0/1, `score` and `stratum`, each (n,)."""
        melanoma = np.asarray(target) == 1
        _, code = np.unique(np.asarray(stratum), return_inverse=True)
        # The key of an image sorts by stratum, then by falling score: all images as one sequence of integers.
        levels, level = np.unique(-np.asarray(score, np.float64), return_inverse=True)
        key = code.astype(np.int64) * len(levels) + level
        steps = np.unique(key[melanoma])
        step_stratum = steps // len(levels)
        # A benign image counts in false_s from this step on: the next melanoma of its stratum at or below its score.
        step = np.searchsorted(steps, key)
        passed = ~melanoma & (step < len(steps))
        passed[passed] = step_stratum[step[passed]] == code[passed]  # there may be none in the stratum
        tied = passed.copy()
        tied[passed] = steps[step[passed]] == key[passed]
        self.first = np.searchsorted(step_stratum, step_stratum)  # for each step, the first step of its stratum
        # Strata without a melanoma have no pairs. Each of the others has a row that counts its benign images.
        strata, self.stratum = np.unique(step_stratum, return_inverse=True)
        row = np.searchsorted(strata, code)
        benign = ~melanoma & (row < len(strata))
        benign[benign] = strata[row[benign]] == code[benign]
        by_step = [indicators(step, members, len(steps)) for members in (melanoma, passed, tied)]
        self.matrix = sparse.vstack([*by_step, indicators(row, benign, len(strata))], format="csr")
        by_stratum = [np.bincount(row[members], minlength=len(strata)) for members in (melanoma, benign)]
        self.counts = {"pairs": int(by_stratum[0] @ by_stratum[1])}

    def metrics(self, sums: Floats) -> dict[str, Floats]:
        """Return auroc; NaN without a melanoma and a benign image in one stratum."""
        gained, passed, tied = np.split(sums[: 3 * len(self.first)], 3)
        benign = sums[3 * len(self.first) :][self.stratum]
        # The cumulative sum runs on over the strata: subtract what it was before the first step of the stratum.
        running = np.cumsum(passed, axis=0)
        false = running - (running - passed)[self.first]
        return {"auroc": ratio((gained * (benign - false + tied / 2)).sum(axis=0), (gained * benign).sum(axis=0))}


class WithinPatient:
    """Whether a melanoma has a higher score than the other images of its patient.

    All images of a patient must have the same weight: the bootstrap must draw patients. A patient that is drawn twice
    counts as two patients, so its pairs count twice, and not four times.
    """

    def __init__(self, target: ArrayLike, score: ArrayLike, patient: ArrayLike) -> None:
        """Take `target` 0/1, `score` and `patient`, each (n,)."""
        rows = pd.DataFrame({"target": np.asarray(target), "score": np.asarray(score, np.float64), "patient": patient})
        scores = rows.groupby("patient")["score"]
        count = scores.transform("size")
        benign = count - rows.groupby("patient")["target"].transform("sum")
        melanoma = rows["target"] == 1
        # As in the Mann-Whitney U statistic: the rank among all images of the patient, minus the rank among its
        # melanomas, is the number of benign images with a lower score. Ties count half.
        rank_in_class = rows.groupby(["patient", "target"])["score"].rank()
        won = (scores.rank() - rank_in_class).where(melanoma, 0.0)
        ranked = melanoma & (benign > 0) & (count >= FEWEST_TO_RANK)
        first = scores.rank(method="max", ascending=False) == 1  # a tie for the highest score is not first
        columns = [won, benign.where(melanoma, 0), first & ranked, ranked, (1 / count).where(ranked, 0.0)]
        self.matrix = sparse.csr_array(np.stack([np.asarray(column, np.float64) for column in columns]))
        self.counts = {"pairs": int(benign[melanoma].sum()), "ranked": int(ranked.sum())}

    def metrics(self, sums: Floats) -> dict[str, Floats]:
        """Return auroc over the pairs of a melanoma and a benign image of the same patient, first, and chance.

        first is the share of melanomas with the highest score of their patient, among the patients with a benign image
        and at least `FEWEST_TO_RANK` images. chance is this share for random scores: the mean of 1 / (images of the
        patient).
        """
        won, pairs, first, ranked, chance = sums
        return {"auroc": ratio(won, pairs), "first": ratio(first, ranked), "chance": ratio(chance, ranked)}


class RSquared:
    """R2, the share of a number's variance that a prediction of the number explains; 0 or less if it explains none."""

    def __init__(self, number: ArrayLike, predicted: ArrayLike) -> None:
        """Take the number and its prediction, each (n,)."""
        number = np.asarray(number, np.float64)
        error = (number - np.asarray(predicted)) ** 2
        self.matrix = sparse.csr_array(np.stack([np.ones(len(number)), number, number**2, error]))

    def metrics(self, sums: Floats) -> dict[str, Floats]:
        """Return r2 = 1 - SSE / SST, with SST = sum of squares - (sum)^2 / n."""
        count, total, square, error = sums
        return {"r2": 1 - ratio(error, square - ratio(total**2, count))}
