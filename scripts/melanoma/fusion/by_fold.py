"""The test logits of a fusion by fold: what the fusion says of the models of one fold alone."""

from collections.abc import Callable

import pandas as pd

from melanoma.predictions.table import fold_columns
from melanoma.stats.log_odds import sigmoid

Members = dict[str, pd.DataFrame]


def with_fold_logits(fused: pd.DataFrame, members: Members, fuse: Callable[[Members], pd.DataFrame]) -> pd.DataFrame:
    """Return fused predictions with a column for each fold that the members have (see `table.FOLD_LOGIT`).

    `fuse` fuses members as `fused` was fused, in the same order. A member without such columns has one test prediction
    for all folds.
    """
    columns = dict.fromkeys(column for member in members.values() for column in fold_columns(member))
    is_test = fused["part"] == "test"
    for column in columns:
        of_fold = fuse({name: _of_fold(member, column) for name, member in members.items()})
        fused = fused.assign(**{column: of_fold["logit"].where(is_test)})
    return fused


def _of_fold(member: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the predictions of a member, on the test by the model of one fold."""
    if column not in member:
        return member
    logits = member["logit"].where(member["part"] == "train", member[column])
    probability = member["probability"].where(member["part"] == "train", sigmoid(logits))
    return member.assign(logit=logits, probability=probability)
