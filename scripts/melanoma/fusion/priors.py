"""Prior correction: the members of a fusion are brought from the prevalence of their training to that of the study.

A training that shows or weights melanomas more often raises all log-odds by about the same number. A mean of such a
member and of another one adds up two scales. So each member's log-odds are shifted back before a fusion (Elkan, IJCAI
2001; Saerens, Latinne and Decaestecker, Neural Computation 14:21, 2002). The order of the images of a member stays.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from melanoma.stats.log_odds import logit, sigmoid

ROUNDING = 1e-6  # a shift of the log-odds below it is none


def prior_shifts(members: Mapping[str, pd.DataFrame], train: pd.DataFrame) -> dict[str, float]:
    """Return what to add to the log-odds of each member that was trained at another prevalence than the study's.

    `members` are tables of predictions (see `table.read_predictions`), `train` has target and, with folds, fold. A
    training saw no image of its own fold, so its prevalence is compared with that of the study without this fold.
    Images of fold -1 (extra_train) are no images of the study. A member without trained_prevalence has no shift.
    """
    study = train[train["fold"] >= 0] if "fold" in train else train.assign(fold=-1)
    shares = {fold: study.loc[study["fold"] != fold, "target"].mean() for fold in study["fold"].unique()}
    whole = study["target"].mean()
    shifts = {}
    for name, rows in members.items():
        known = rows[rows["trained_prevalence"].notna()]
        # Training is the same in each fold and in the refit. Only for out-of-fold rows it is known which images it saw.
        out_of_fold = known[known["part"] == "train"]
        known = out_of_fold if len(out_of_fold) else known
        share = known["fold"].map(shares).fillna(whole)
        shift = float((logit(share) - logit(known["trained_prevalence"])).mean()) if len(known) else 0.0
        if abs(shift) > ROUNDING:
            shifts[name] = shift
    return shifts


def corrected(members: Mapping[str, pd.DataFrame], shifts: Mapping[str, float]) -> dict[str, pd.DataFrame]:
    """Return the members with shifted logit and probability. A member without a shift is returned as it is."""
    return {name: _shifted(rows, shifts[name]) if name in shifts else rows for name, rows in members.items()}


def _shifted(rows: pd.DataFrame, shift: float) -> pd.DataFrame:
    log_odds = rows["logit"].to_numpy(np.float64) + shift
    return rows.assign(logit=log_odds, probability=sigmoid(log_odds))
