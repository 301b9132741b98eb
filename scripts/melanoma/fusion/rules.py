"""Several models' predictions made into one by a rule: mean of probabilities, logits or ranks, or with given weights.

Fusions that are fitted are in `stacking`.
"""

import numpy as np
import pandas as pd
from scipy.special import expit

from melanoma.common.errors import InputError, listing
from melanoma.predictions.table import logit

METHODS = ("mean", "logit_mean", "rank_mean", "weighted")
KEYS = ("image", "part", "fold")
SMALLEST = 2.0**-53  # the least that 1 can be short of in float64
LARGEST_LOGIT = 50.0  # of a member that is certain
TINY = 1e-12  # a probability of exactly 0 or 1 would make the log loss infinite


def fuse(members: dict[str, pd.DataFrame], method: str, weights: dict[str, float] | None = None) -> pd.DataFrame:
    """Fuse predictions of the same images into one table of predictions, in the first member's order.

    `members` maps each name to its predictions (see `predictions.read_predictions`). The methods are: 'mean' of the
    probabilities; 'logit_mean' of the logits; 'rank_mean' of the percentile ranks, within train and within test;
    'weighted', the mean of the probabilities under `weights`, which maps each member to a number >= 0 and is divided by
    its sum. A rank mean orders images by risk; it is not a calibrated probability.
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


def plain_mean(members: dict[str, pd.DataFrame], method: str) -> np.ndarray:
    """Return the mean of the members' probabilities, or with logit_mean that of their logits as a probability, (n,)."""
    if method == "logit_mean":
        return expit(finite_logits(members).mean(axis=1))
    return aligned(members).mean(axis=1)


def weighted_mean(members: dict[str, pd.DataFrame], weights: np.ndarray) -> np.ndarray:
    """Return the mean of the members' probabilities under `weights`, (members,) with sum 1: float64 (n,)."""
    return aligned(members) @ weights


def rank_among(reference: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Return the percentile rank of each `score`, (n,), among the scores `reference`, which rise: float64 in (0, 1].

    For a score of the reference it is that of `percentile_ranks`: (below + (equal + 1) / 2) / n.
    """
    below, up_to = (np.searchsorted(reference, score, side=side) for side in ("left", "right"))
    return ((below + up_to + 1) / 2 / len(reference)).clip(max=1.0)


def with_probability(
    predictions: pd.DataFrame, probability: np.ndarray, trained_prevalence: float = np.nan
) -> pd.DataFrame:
    """Return `predictions` with other probabilities, (n,), their logits, which stay finite, and the share of melanomas
    that whatever made them was fitted to, NaN where that is no one number. A fusion has no embedding, so no distance.
    """
    # Rounding may carry a mean of ones just past one, and the best of all ranks would have an infinite logit.
    probability = np.clip(probability, 0.0, 1.0)
    finite = logit(np.clip(probability, SMALLEST, 1.0 - SMALLEST))
    made = {"probability": probability, "logit": finite, "trained_prevalence": trained_prevalence}
    return predictions.assign(**made, patient_distance=np.nan)


def finite_logits(members: dict[str, pd.DataFrame]) -> np.ndarray:
    """Return the members' logits by image, as `aligned`, at most `LARGEST_LOGIT` from 0."""
    return aligned(members, "logit").clip(-LARGEST_LOGIT, LARGEST_LOGIT)


def simplex_minimum(columns: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the weights whose weighted mean of `columns` has least log loss: float64 (members,), sum 1.

    `columns` are probabilities, float64 (n, members); `target` is 0/1, (n,).
    """
    from scipy.optimize import minimize

    # The probability each member gives to what turned out to be true: log loss is minus the mean of its log.
    truth = np.where(target[:, None] == 1, columns, 1.0 - columns).clip(TINY)
    count = columns.shape[1]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = truth @ weights
        return -np.log(mixed).mean(), -(truth / mixed[:, None]).mean(axis=0)

    found = minimize(
        loss,
        np.full(count, 1.0 / count),
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * count,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1.0, "jac": np.ones_like},
        options={"ftol": 1e-12, "maxiter": 500},
    )
    weights = found.x.clip(0.0)
    return weights / weights.sum()


def log_loss(target: np.ndarray, probability: np.ndarray) -> float:
    """Return the mean negative log probability of the true class, with probabilities kept off 0 and 1."""
    truth = np.where(target == 1, probability, 1.0 - probability).clip(TINY)
    return float(-np.log(truth).mean())


def normalized(weights: dict[str, float] | None, names: list[str]) -> np.ndarray:
    """Return `weights` in the order of `names`, divided by their sum: float64 (members,).

    Raises InputError where a member has no weight, a weight has no member, one is negative, or all are 0.
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
    return values / values.sum()


def percentile_ranks(columns: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Rank each column within each part: rank / n, ties sharing their mean rank; float64 in (0, 1]."""
    return pd.DataFrame(columns).groupby(part).rank(method="average", pct=True).to_numpy()


def aligned(members: dict[str, pd.DataFrame], column: str = "probability") -> np.ndarray:
    """Return a column of the members' predictions by image, in the first member's order: float64 (images, members).

    Raises InputError naming the rows where a member has other images, or the same ones in another part or
    fold.
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
    lines.append("Members of a fusion must run the same folds over the same split.")
    return "\n".join(lines)
