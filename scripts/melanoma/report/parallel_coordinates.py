"""Parallel coordinates: each trial of a tuning as a line through its value of each option to its score."""

import json
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from melanoma.report.figures import FAINT, INK, styled

HALO = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.8}


@styled
def parallel_coordinates(trials: pd.DataFrame, space: dict[str, Any], score: str) -> Figure:
    """Draw trials, coloured by their score, the chosen one thick.

    `trials` is the table of tune.py: a column for each option of `space`, `score`, and chosen. A list's values are
    evenly spaced in its order; a range runs from bottom to top, on a logarithmic axis where it was drawn on one.
    """
    figure = Figure(figsize=(1.5 + 1.6 * (len(space) + 1), 3.6))
    axes = figure.subplots()
    scores = trials[score].to_numpy(dtype=float)
    columns = [_heights(trials[name], choices) for name, choices in space.items()]
    shown, ends = _score_heights(scores)
    heights = np.column_stack([*columns, shown])
    colours = mpl.colormaps["viridis_r"](shown)
    places = np.arange(heights.shape[1])
    for trial in np.argsort(trials["chosen"].to_numpy(), kind="stable"):
        chosen = bool(trials["chosen"].iloc[trial])
        style = (
            {"color": INK, "linewidth": 2.4} if chosen else {"color": colours[trial], "linewidth": 1.2, "alpha": 0.8}
        )
        axes.plot(places, heights[trial], marker="o", markersize=3, **style)
    for place, choices in enumerate(space.values()):
        _label(axes, place, choices)
    for height, value in ends:
        axes.text(places[-1] + 0.06, height, f"{value:.4f}", va="center", fontsize=7.5)
    for place in places:
        axes.axvline(place, color=FAINT, linewidth=0.8, zorder=0)
    names = [name.replace(".", ".\n") for name in space]
    axes.set(xlim=(-0.35, places[-1] + 0.5), ylim=(-0.08, 1.08), yticks=[])
    axes.set_xticks(places, [*names, score.replace("_", "\n", 1).replace("_", " ")], fontsize=8)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    return figure


def _heights(column: pd.Series, choices: Any) -> NDArray[np.float64]:
    """The height in [0, 1] of each trial's value of one option."""
    if isinstance(choices, list):
        spelt = [_spelt(value) for value in choices]
        return np.array([spelt.index(_spelt(value)) for value in column]) / max(len(spelt) - 1, 1)
    ((kind, (low, high)),) = choices.items()
    values = column.to_numpy(dtype=float)
    if kind == "log":
        return np.log(values / low) / np.log(high / low)
    return (values - low) / (high - low)


def _score_heights(scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], list[tuple[float, float]]]:
    """The height of each score, NaN at the bottom, and what the ends of the axis stand for."""
    known = scores[~np.isnan(scores)]
    if not known.size or known.min() == known.max():
        return np.full(len(scores), 0.5), [(0.5, float(value)) for value in known[:1]]
    low, high = float(known.min()), float(known.max())
    return np.nan_to_num((scores - low) / (high - low)), [(0.0, low), (1.0, high)]


def _label(axes: Axes, place: int, choices: Any) -> None:
    """Write the values beside an option's axis: all of a list, the ends of a range."""
    if isinstance(choices, list):
        marks = [(number / max(len(choices) - 1, 1), _spelt(value)) for number, value in enumerate(choices)]
    else:
        marks = list(enumerate(f"{value:g}" for value in next(iter(choices.values()))))
    for height, text in marks:
        shown = text if len(text) < 24 else f"{text[:21]}..."
        axes.text(place + 0.06, height, shown, va="center", fontsize=7.5, bbox=HALO, zorder=5)


def _spelt(value: Any) -> str:
    """A value as a table in CSV gives it back: numbers alike however they are written, all else as a text."""
    if isinstance(value, list | dict):
        return json.dumps(value)
    try:
        return f"{float(value):g}" if not isinstance(value, bool) else str(value)
    except (TypeError, ValueError):
        return str(value)
