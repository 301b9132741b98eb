"""The most uncertain images are left out first: those on which trainings or views differ, or near the threshold."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from labeled_predictions import QUICK, study
from melanoma.evaluation.decisions import Decisions
from melanoma.evaluation.selective import COVERAGES, selective

DECIDED = Decisions({"sensitivity_90": 0.3})


@pytest.mark.parametrize("by", ["margin", "views", "spread"])
def test_each_point_has_the_metrics_of_the_most_certain_images(by: str) -> None:
    table = study()
    spread = np.random.default_rng(0).random(len(table))
    columns = {"margin": {}, "views": {"view_deviation": spread}, "spread": {"view_deviation": 0.0, "spread": spread}}
    made = selective(table.assign(**{"spread": np.nan} | columns[by]), DECIDED, QUICK)
    uncertainty = -np.abs(table["logit"] - np.log(0.3 / 0.7)) if by == "margin" else spread
    assert made["by"] == by
    assert [point["coverage"] for point in made["points"]] == list(COVERAGES)
    for point in made["points"]:
        rows = table.iloc[np.argsort(uncertainty, kind="stable")[: round(300 * point["coverage"])]]
        target = rows["target"].to_numpy(int)
        assert (point["n"], point["melanomas"]) == (len(rows), target.sum())
        assert point["auroc"]["value"] == pytest.approx(roc_auc_score(target, rows["probability"]), abs=1e-9)
        right = (rows["probability"].to_numpy() >= 0.3) == target
        assert point["accuracy"]["value"] == pytest.approx(right.mean(), abs=1e-9)
