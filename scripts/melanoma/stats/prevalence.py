"""Metrics at another prevalence than that of the images, such as that of a clinic.

Melanomas and benign images get the weights pi / n1 and (1 - pi) / n0, where pi is the prevalence and n1 and n0 are the
numbers of melanomas and of benign images. So sensitivities and specificities stay as they are: it is assumed that the
melanomas and the benign images are those of the clinic, and only their shares differ. Each class is a measure as in
`metrics`; the weights are those of the replicate, so that the prevalence of each replicate is pi.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from melanoma.stats.metrics import Confusion, Floats, NetBenefit, Outcomes, Ranking, Steps, ratio

CASE_CONTROL = 2.0  # images whose prevalence is so many times the stated one are a case-control sample


class RankingAt(Ranking):
    """The average precision at a prevalence."""

    def __init__(self, target: ArrayLike, score: ArrayLike, prevalence: float) -> None:
        """Take the prevalence, above 0 and below 1."""
        super().__init__(target, score)
        self.prevalence = prevalence

    def metrics(self, sums: Floats) -> dict[str, Floats]:
        """Return average_precision."""
        return {"average_precision": average_precision_at(self.steps(sums), self.prevalence)}


def average_precision_at(steps: Steps, prevalence: float) -> Floats:
    """Return the average precision at a prevalence, above 0 and below 1."""
    found = prevalence * ratio(steps.true, steps.positives)
    wrong = (1 - prevalence) * ratio(steps.false, steps.negatives)
    precision = np.nan_to_num(ratio(found, found + wrong))  # 0 before the first image of a replicate
    average = ratio((steps.gained * precision).sum(axis=0), steps.positives)
    return np.where(steps.negatives > 0, average, np.nan)


class OutcomesAt(Outcomes):
    """The predictive values of a threshold at a prevalence."""

    def __init__(self, target: ArrayLike, score: ArrayLike, threshold: float, prevalence: float) -> None:
        """Take the prevalence, above 0 and below 1."""
        super().__init__(target, score, threshold)
        self.prevalence = prevalence

    def metrics(self, sums: Floats) -> dict[str, Floats]:
        """Return ppv and npv."""
        cells = Confusion(*sums)
        melanomas, benign = self.prevalence, 1 - self.prevalence
        at = Confusion(
            tp=melanomas * cells.sensitivity,
            fp=benign * (1 - cells.specificity),
            tn=benign * cells.specificity,
            fn=melanomas * (1 - cells.sensitivity),
        )
        return {"ppv": at.ppv, "npv": at.npv}


class NetBenefitAt:
    """The net benefit at a prevalence: pi * sensitivity - (1 - pi) * (1 - specificity) * t / (1 - t)."""

    def __init__(
        self, target: ArrayLike, probability: ArrayLike, thresholds: Sequence[float], prevalence: float
    ) -> None:
        """Take threshold probabilities t and the prevalence, all above 0 and below 1."""
        whole = NetBenefit(target, probability, thresholds)
        self.names = [str(threshold) for threshold in whole.thresholds]
        self.prevalence = prevalence
        by_class = [whole.matrix * (np.asarray(target) == label) for label in (1, 0)]
        self.matrix = sparse.vstack(by_class, format="csr")

    def metrics(self, sums: Floats) -> dict[str, Floats]:
        """Return the net benefit by threshold probability, as text."""
        melanomas, benign = np.split(sums, 2)
        gain = self.prevalence * ratio(melanomas[:-1], melanomas[-1])
        loss = (1 - self.prevalence) * ratio(benign[:-1], benign[-1])
        return dict(zip(self.names, gain + loss, strict=True))
