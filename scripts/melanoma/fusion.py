"""Several models' predictions made into one: mean, rank mean, or weighted mean with fixed or fitted weights.

Fitted weights minimise the log loss of the weighted mean probability on out-of-fold predictions of train.
That loss is convex in the weights, so there is one answer; it favours members whose probabilities are
calibrated.
"""

import numpy as np
import pandas as pd

from melanoma.errors import InputError, listing
from melanoma.predictions import join_labels, logit

METHODS = ("mean", "rank_mean", "weighted")
KEYS = ("image", "part", "fold")
SMALLEST = 2.0**-53  # the least that 1 can be short of in float64
TINY = 1e-12  # a probability of exactly 0 or 1 would make the log loss infinite


def fuse(members: dict[str, pd.DataFrame], method: str, weights: dict[str, float] | None = None) -> pd.DataFrame:
    """Fuse predictions of the same images into one table of predictions, in the first member's order.

    `members` maps each name to its predictions (see `predictions.read_predictions`). The methods are: 'mean'
    of the probabilities; 'rank_mean' of the percentile ranks, within train and within test; 'weighted', the
    mean of the probabilities under `weights`, which maps each member to a number >= 0 and is divided by its
    sum. A rank mean orders images by risk; it is not a calibrated probability.
    """
    if method not in METHODS:
        raise InputError(f"fusion method '{method}' is unknown: use one of {', '.join(METHODS)}")
    first = next(iter(members.values()))
    columns = aligned(members)
    if method == "rank_mean":
        columns = percentile_ranks(columns, first["part"].to_numpy())
    probability = columns @ normalised(weights, list(members)) if method == "weighted" else columns.mean(axis=1)
    # Rounding may carry a mean of ones just past one, and the best of all ranks would have an infinite logit.
    probability = np.clip(probability, 0.0, 1.0)
    return first.assign(probability=probability, logit=logit(np.clip(probability, SMALLEST, 1.0 - SMALLEST)))


def fit_weights(members: dict[str, pd.DataFrame], labels: pd.DataFrame) -> dict[str, float]:
    """Fit the weights, >= 0 with sum 1, that minimise log loss on the out-of-fold rows; see `out_of_fold`."""
    columns, target = out_of_fold(members, labels)
    return dict(zip(members, simplex_minimum(columns, target).tolist(), strict=True))


def out_of_fold(members: dict[str, pd.DataFrame], labels: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the members' out-of-fold probabilities, float64 (n, members), and labels, int8 (n,).

    `labels` (image, target) must cover the rows of part 'train'; those of test are dropped before anything is
    looked at. Raises InputError where a member has no such rows or all are of one class.
    """
    rows = {name: member[member["part"] == "train"] for name, member in members.items()}
    empty = ", ".join(name for name, member in rows.items() if member.empty)
    if empty:
        raise InputError(
            f"weights cannot be fitted: no out-of-fold predictions (part 'train') of {empty}; run folds or give weights"
        )
    columns = aligned(rows)
    labelled = join_labels(next(iter(rows.values())), labels, "fusion", subset=True)
    target = labelled["target"].to_numpy(dtype=np.int8)
    if target.min() == target.max():
        raise InputError("weights cannot be fitted: out-of-fold images are all of one class; run more folds")
    return columns, target


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


def normalised(weights: dict[str, float] | None, names: list[str]) -> np.ndarray:
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


def aligned(members: dict[str, pd.DataFrame]) -> np.ndarray:
    """Return the members' probabilities by image, in the first member's order: float64 (images, members).

    Raises InputError naming the rows where a member has other images, or the same ones in another part or
    fold.
    """
    (first_name, first), *others = members.items()
    keys = pd.MultiIndex.from_frame(first[list(KEYS)])
    columns = [first["probability"].to_numpy()]
    for name, member in others:
        member = member.set_index(list(KEYS))
        missing, extra = keys.difference(member.index), member.index.difference(keys)
        if len(missing) or len(extra):
            raise InputError(_difference(first_name, missing, name, extra))
        columns.append(member["probability"].reindex(keys).to_numpy())
    return np.stack(columns, axis=1)


def _difference(first: str, only_first: pd.MultiIndex, second: str, only_second: pd.MultiIndex) -> str:
    lines = [f"{first} and {second} do not predict the same images in the same parts and folds:"]
    for name, rows in ((first, only_first), (second, only_second)):
        if len(rows):
            lines.append(f"{len(rows)} only in {name}:")
            lines.append(listing(f"{image} ({part}, fold {fold})" for image, part, fold in rows))
    lines.append("Members of a fusion must run the same folds over the same split.")
    return "\n".join(lines)
