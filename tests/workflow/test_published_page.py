"""The figures of docs/published.md that are scored from stored predictions are those that the workflow computes."""

import re
from collections.abc import Mapping

import pandas as pd
import pytest

from melanoma.config.study import Evaluate
from melanoma.evaluation.evaluate import evaluate
from melanoma.fusion.rules import fuse
from melanoma.predictions.table import read_predictions
from project import ROOT
from real_data import real_data

TEXT = (ROOT / "docs" / "published.md").read_text()
# By the name of the row, the AUROC and the average precision with their intervals.
ROWS = {
    name: cells
    for name, *cells in re.findall(
        r"^\| ([^|]+?) \| [^|]+ \| ([.\d]+ \[[^|]+\]) \| ([.\d]+ \[[^|]+\]) \|", TEXT, re.MULTILINE
    )
}
# By the name of the row, how the files of predictions are fused; the mean of one file is that file.
MODELS = {
    "S1, CNN": ("mean", ["CNN"]),
    "S1, ResNeSt-269": ("mean", ["ResNeSt269"]),
    "S1, ResNeSt-200": ("mean", ["ResNeSt200"]),
    "S1, CNN and ResNeSt-269, mean": ("mean", ["CNN", "ResNeSt269"]),
    "S1, CNN and ResNeSt-269, rank mean": ("rank_mean", ["CNN", "ResNeSt269"]),
}


def predictions(name: str) -> pd.DataFrame:
    return read_predictions(real_data(f"published-predictions/{name}_test_predictions.csv"))


def written(estimate: Mapping[str, float]) -> str:
    value, low, high = (f"{estimate[key]:.3f}".removeprefix("0") for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def test_the_readmes_figures_are_those_of_the_page():
    readme = re.search(r"## Published figures\n(.*?)\n## ", (ROOT / "README.md").read_text(), re.DOTALL).group(1)
    figures = re.findall(r"[.\d]+ \[[.\d]+, [.\d]+\]", readme)
    assert len(figures) == 4 and all(figure in TEXT for figure in figures)


def test_the_page_has_every_model_whose_predictions_are_published():
    assert set(ROWS) == set(MODELS)


@pytest.mark.real_data
@pytest.mark.parametrize("name", MODELS)
def test_a_figure_scored_from_stored_predictions_is_as_computed(name):
    method, members = MODELS[name]
    fused = fuse({member: predictions(member) for member in members}, method)
    entry = evaluate({name: fused}, Evaluate())[name]
    assert ROWS[name] == [written(entry["auroc"]), written(entry["average_precision"])]
