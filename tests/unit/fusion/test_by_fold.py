"""A fusion of the folds' means also says what it would be with the models of each fold alone."""

import numpy as np
import pandas as pd
import pytest

from melanoma.fusion.by_fold import with_fold_logits
from melanoma.fusion.rules import fuse
from melanoma.stats.log_odds import sigmoid


def member(logits: list[float], **folds: list[float]) -> pd.DataFrame:
    rows = pd.DataFrame({"image": list("abc"), "part": ["train", "test", "test"], "fold": [0, -1, -1], "logit": logits})
    columns = {f"logit_fold-{name[-1]}": [np.nan, *values] for name, values in folds.items()}
    return rows.assign(probability=sigmoid(rows["logit"]), **columns)


def test_each_folds_column_is_the_fusion_of_the_members_logits_of_this_fold() -> None:
    members = {"cnn": member([5, 1, 2], fold0=[0, 1], fold1=[2, 3]), "external": member([0, 4, 4])}

    def mean(members: dict[str, pd.DataFrame]) -> pd.DataFrame:
        return fuse(members, "logit_mean")

    fused = with_fold_logits(mean(members), members, mean)
    assert fused["logit"].tolist() == pytest.approx([2.5, 2.5, 3])
    assert fused["logit_fold-0"].tolist() == pytest.approx([np.nan, 2, 2.5], nan_ok=True)
    assert fused["logit_fold-1"].tolist() == pytest.approx([np.nan, 3, 3.5], nan_ok=True)
