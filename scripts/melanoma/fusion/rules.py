"""Fusion by a rule: the mean of probabilities, of logits or of ranks, or a mean with given weights.

Fitted fusions are in `stacking`.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.common.errors import InputError, listing
from melanoma.stats.log_odds import clipped, logit, sigmoid
from melanoma.stats.metrics import Floats

METHODS = ("mean", "logit_mean", "rank_mean", "weighted")
KEYS = ("image", "part", "fold")
LARGEST_LOGIT = 50.0  # a logit of a member beyond it, or an infinite one, would decide a mean alone


def fuse(members: dict[str, pd.DataFrame], method: str, weights: dict[str, float] | None = None) -> pd.DataFrame:
    """Fuse predictions of the same images into one table of predictions, in the first member's order.

    `members` maps each name to its predictions (see `table.read_predictions`). The methods are: 'mean' of the
    probabilities; 'logit_mean' of the logits; 'rank_mean' of the percentile ranks, within train and within test; and
    'weighted' mean of the probabilities. `weights` maps each member to a number of 0 or more; they are divided by their
    sum. A rank mean orders images by risk, but it is not a calibrated probability.
    """
    if method not in METHODS:
        raise InputError(f"fusion method '{method}' is unknown: use one of {', '.join(METHODS)}")
    first = next(iter(members.values()))
    if method == "weighted":
        probability = weighted_mean(members, normalized(weights, list(members)))
    elif method == "rank_mean":
        probability = percentile_ranks(aligned(members), first["part"].to_numpy()).mean(axis=1)
    else:
        probability = plain_mean(members, method)
    return with_probability(first, probability)


def plain_mean(members: dict[str, pd.DataFrame], method: str) -> Floats:
    """Return the mean of the members' probabilities or, for logit_mean, the sigmoid of their mean logit, (n,)."""
    if method == "logit_mean":
        return sigmoid(finite_logits(members).mean(axis=1))
    return np.asarray(aligned(members).mean(axis=1))


def weighted_mean(members: dict[str, pd.DataFrame], weights: Floats) -> Floats:
    """Return the weighted mean of the members' probabilities, float64 (n,); `weights`, (members,), have sum 1."""
    return np.asarray(aligned(members) @ weights)


def rank_among(reference: Floats, score: Floats) -> Floats:
    """Return the percentile rank of each `score`, (n,), among the n sorted scores `reference`: float64 in (0, 1].

    It is (lower + (equal + 1) / 2) / n. For a score of the reference this is its rank in `percentile_ranks`.
    """
    lower, not_higher = np.searchsorted(reference, score, "left"), np.searchsorted(reference, score, "right")
    return np.asarray((lower + not_higher + 1) / 2 / len(reference)).clip(max=1.0)


def with_probability(
    predictions: pd.DataFrame, probability: Floats, trained_prevalence: float = np.nan
) -> pd.DataFrame:
    """Return `predictions` with the probabilities of a fusion, (n,), and their finite logits.

    `trained_prevalence` is the share of melanomas that the fusion was fitted to, NaN if it is not fitted. A fusion has
    no embeddings, so patient_distance is NaN.
    """
    probability = np.clip(probability, 0.0, 1.0)  # by rounding, a mean of ones may be a little above 1
    fused = {"probability": probability, "logit": logit(probability), "trained_prevalence": trained_prevalence}
    return predictions.assign(**fused, patient_distance=np.nan)


def finite_logits(members: dict[str, pd.DataFrame]) -> Floats:
    """Return the logits as `aligned`, clipped to -`LARGEST_LOGIT` and `LARGEST_LOGIT`."""
    return aligned(members, "logit").clip(-LARGEST_LOGIT, LARGEST_LOGIT)


def simplex_minimum(columns: Floats, target: Floats) -> Floats:
    """Return the weights with which the weighted mean of `columns` has the lowest log loss: float64 (members,), sum 1.

    `columns` are probabilities, float64 (n, members); `target` is 0/1, (n,).
    """
    from scipy.optimize import minimize

    # The probability of the true class. The log loss of a fusion is the mean of -log of its weighted mean.
    truth = clipped(np.where(target[:, None] == 1, columns, 1.0 - columns))
    count = columns.shape[1]

    def loss(weights: Floats) -> tuple[float, Floats]:
        mixed = truth @ weights
        return float(-np.log(mixed).mean()), -(truth / mixed[:, None]).mean(axis=0)

    weights: Floats = minimize(
        loss,
        np.full(count, 1.0 / count),
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * count,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1.0, "jac": np.ones_like},
        options={"ftol": 1e-12, "maxiter": 500},
    ).x.clip(0.0)
    return np.asarray(weights / weights.sum())


def normalized(weights: dict[str, float] | None, names: list[str]) -> Floats:
    """Return `weights` in the order of `names`, divided by their sum: float64 (members,).

    Raises InputError if a member has no weight, a weight has no member, a weight is negative, or all are 0.
    """
    weights = weights or {}
    missing = [name for name in names if name not in weights]
    extra = [name for name in weights if name not in names]
    if missing or extra:
        raise InputError(
            f"weights must name each member once: members {', '.join(names)}; "
            f"without a weight: {', '.join(missing) or 'none'}; not a member: {', '.join(extra) or 'none'}"
        )
    values = np.array([float(weights[name]) for name in names])
    if not np.isfinite(values).all() or values.min() < 0 or values.sum() <= 0:
        raise InputError(f"weights must be 0 or more, and not all 0: got {weights}")
    return np.asarray(values / values.sum())


def percentile_ranks(columns: Floats, part: NDArray[np.str_]) -> Floats:
    """Return rank / n of each value in its column and part, float64 in (0, 1]; ties have their mean rank."""
    return np.asarray(pd.DataFrame(columns).groupby(part).rank(method="average", pct=True))


def aligned(members: dict[str, pd.DataFrame], column: str = "probability") -> Floats:
    """Return a column of the members' predictions by image, in the first member's order: float64 (images, members).

    Raises InputError that lists the rows of a member with other images, or in another part or fold.
    """
    (first_name, first), *others = members.items()
    keys = pd.MultiIndex.from_frame(first[list(KEYS)])
    columns = [first[column].to_numpy()]
    for name, member in others:
        member = member.set_index(list(KEYS))
        missing, extra = keys.difference(member.index), member.index.difference(keys)
        if len(missing) or len(extra):
            raise InputError(_difference(first_name, missing, name, extra))
        columns.append(member[column].reindex(keys).to_numpy())
    return np.stack(columns, axis=1)


def _difference(first: str, only_first: pd.MultiIndex, second: str, only_second: pd.MultiIndex) -> str:
    lines = [f"{first} and {second} do not predict the same images in the same parts and folds:"]
    for name, rows in ((first, only_first), (second, only_second)):
        if len(rows):
            lines.append(f"{len(rows)} only in {name}:")
            lines.append(listing(f"{image} ({part}, fold {fold})" for image, part, fold in rows))
    lines.append("All members of a fusion must run the same folds of the same split.")
    return "\n".join(lines)
