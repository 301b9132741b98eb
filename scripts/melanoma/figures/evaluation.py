"""Figures of the evaluation: ROC, precision-recall, reliability and decision curves, and robustness."""

from collections.abc import Mapping, Sequence
from math import ceil, inf
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from melanoma.evaluation.results import Curves, ModelMetrics, Reliability, Robustness
from melanoma.evaluation.summary import interval_text
from melanoma.figures.style import CHANCE, FAINT, legend_columns, legend_width, line, styled
from melanoma.stats.bootstrap import Interval

# The line of the selected model stands out among those of many models.
SELECTED: dict[str, Any] = {"linewidth": 2.2, "zorder": 3}
OTHER: dict[str, Any] = {"linewidth": 1, "alpha": 0.8}


@styled
def roc(curves: Mapping[str, Curves], metrics: Mapping[str, ModelMetrics], selected_model: str) -> Figure:
    """Draw the ROC curve of each model, with its AUROC and confidence interval in the legend, and the chance line."""
    labels = [f"{name}  {interval_text(metrics[name]['auroc'])}" for name in curves]
    figure, axes = _square("False positive rate (1 - specificity)", "True positive rate (sensitivity)", labels)
    for number, ((name, curve), label) in enumerate(zip(curves.items(), labels, strict=True)):
        points = curve["roc"]["false_positive_rate"], curve["roc"]["true_positive_rate"]
        weight = SELECTED if name == selected_model else OTHER
        axes.plot(*points, **line(number), **weight, label=label)
    axes.plot([0, 1], [0, 1], **CHANCE, label="chance  0.5000")
    _legend_below(figure, f"AUROC {_interval_label(metrics)}")
    return figure


@styled
def precision_recall(curves: Mapping[str, Curves], metrics: Mapping[str, ModelMetrics], selected_model: str) -> Figure:
    """Draw the precision over the recall of each model, with the average precision and its interval in the legend.

    The area below the steps is the average precision. The chance line is the share of melanomas.
    """
    labels = [f"{name}  {interval_text(metrics[name]['average_precision'])}" for name in curves]
    figure, axes = _square("Recall (sensitivity)", "Precision (positive predictive value)", labels)
    for number, ((name, curve), label) in enumerate(zip(curves.items(), labels, strict=True)):
        recall, precision = curve["precision_recall"]["recall"], curve["precision_recall"]["precision"]
        steps = [0.0, *recall], [precision[0], *precision]
        weight = SELECTED if name == selected_model else OTHER
        axes.plot(*steps, drawstyle="steps-pre", **line(number), **weight, label=label)
    for prevalence in sorted({curve["prevalence"] for curve in curves.values()}):
        axes.axhline(prevalence, **CHANCE, label=f"chance  {prevalence:.4f}")
    _legend_below(figure, f"Average precision {_interval_label(metrics)}")
    return figure


@styled
def folds(curves: Mapping[str, Curves], selected_model: str) -> Figure:
    """Draw the ROC and the precision-recall curves of the selected model out of fold: each fold, and all pooled."""
    figure = Figure(figsize=(8.4, 4.9))
    left, right = figure.subplots(1, 2)
    left.set(xlabel="False positive rate (1 - specificity)", ylabel="True positive rate (sensitivity)")
    right.set(xlabel="Recall (sensitivity)", ylabel="Precision (positive predictive value)")
    if (validation := curves[selected_model].get("validation")) is not None:
        named = {f"fold {fold}": curve for fold, curve in validation["folds"].items()}
        for number, (name, curve) in enumerate({"all folds": validation["pooled"], **named}.items()):
            style = {**line(number), **(OTHER if number else SELECTED)}
            left.plot(curve["roc"]["false_positive_rate"], curve["roc"]["true_positive_rate"], **style, label=name)
            recall, precision = curve["precision_recall"]["recall"], curve["precision_recall"]["precision"]
            right.plot([0.0, *recall], [precision[0], *precision], drawstyle="steps-pre", **style)
    left.plot([0, 1], [0, 1], **CHANCE, label="chance")
    for axes in (left, right):
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    figure.legend(title=selected_model, loc="outside lower center", ncols=4)
    return figure


@styled
def reliability(calibration: Mapping[str, Reliability], selected_model: str) -> Figure:
    """Draw the observed over the predicted share of melanomas of each model, before and after calibration.

    Only the selected model has confidence intervals: those of all models would hide each other. Both axes are
    logarithmic, since melanomas are rare. They have no place for a bin without melanomas.
    """
    scales = [s for s in ("raw", "calibrated") if any(s in entry["reliability"] for entry in calibration.values())]
    titles = {"raw": "Before calibration", "calibrated": "After calibration"}
    names, width, most = ["perfect calibration", *calibration], 4.2 * len(scales), 2 * len(scales)
    columns = legend_columns(names, width, most)
    figure = Figure(figsize=(width, 4.9 + 0.18 * (ceil(len(names) / columns) - ceil(len(names) / most))))
    grid = figure.subplots(1, len(scales), sharex=True, sharey=True, squeeze=False)[0]
    bins = [each for entry in calibration.values() for curve in entry["reliability"].values() for each in curve]
    values = [share["value"] for each in bins for share in (each["predicted"], each["observed"])]
    lowest = min((value for value in values if value), default=0.1) / 2
    for axes, scale in zip(grid, scales, strict=True):
        axes.plot([lowest, 1], [lowest, 1], **CHANCE, label="perfect calibration")
        for number, (name, entry) in enumerate(calibration.items()):
            shown = [each for each in entry["reliability"].get(scale, []) if each["observed"]["value"]]
            predicted = [each["predicted"]["value"] for each in shown]
            observed = [each["observed"]["value"] for each in shown]
            weight = SELECTED if name == selected_model else OTHER
            axes.plot(predicted, observed, marker="o", markersize=3, **line(number), **weight, label=name)
            if name == selected_model:
                _bars(axes, predicted, [each["observed"] for each in shown], lowest, line(number)["color"])
        axes.set(title=titles[scale], xscale="log", yscale="log", xlim=(lowest, 1.1), ylim=(lowest, 1.1))
        axes.set_xlabel("Mean predicted probability")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
            axis.set_minor_formatter(mpl.ticker.NullFormatter())
    grid[0].set_ylabel("Observed share of melanomas")
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=columns)
    return figure


@styled
def decision(curves: Mapping[str, Curves], metrics: Mapping[str, ModelMetrics], selected_model: str) -> Figure:
    """Draw the net benefit of each model, of treat all and of treat none by the threshold probability.

    Only the selected model has confidence intervals: those of all models would hide each other.
    """
    columns = legend_columns([*curves, "treat all", "treat none"], 6.4, most=3)
    figure = Figure(figsize=(6.4, 5.0 + 0.18 * ceil(len(curves) / columns)))
    axes = figure.subplots()
    for number, (name, curve) in enumerate(curves.items()):
        points = curve["decision"]["threshold"], curve["decision"]["net_benefit"]
        axes.plot(*points, **line(number), **(SELECTED if name == selected_model else OTHER), label=name)
        if name == selected_model:
            known = metrics[name].get("calibrated", metrics[name])["net_benefit"]
            _bars(axes, [float(threshold) for threshold in known], list(known.values()), -inf, line(number)["color"])
    threshold = np.array(next(iter(curves.values()))["decision"]["threshold"])
    for prevalence in sorted({curve["prevalence"] for curve in curves.values()}):
        treat_all = prevalence - (1 - prevalence) * threshold / (1 - threshold)
        axes.plot(threshold, treat_all, color=FAINT, linewidth=1.2, label="treat all")
    axes.axhline(0, **CHANCE, label="treat none")
    most = max(max(*curve["decision"]["net_benefit"], curve["prevalence"]) for curve in curves.values())
    # The net benefit of treat all falls without bound. The axis shows only the beginning of the fall.
    axes.set(ylim=(max(axes.dataLim.y0 - 0.05 * most, -0.35 * most), axes.dataLim.y1 + 0.05 * most), xlim=(0, None))
    axes.set(xlabel="Threshold probability", ylabel="Net benefit per image")
    figure.legend(loc="outside lower center", ncols=columns)
    return figure


@styled
def robustness(results: Mapping[str, Robustness]) -> Figure:
    """Draw the AUROC over the severity of each corruption, with intervals: a panel for each, a line for each model.

    The lines are a little apart, so that their intervals do not hide each other.
    """
    corruptions = list(next(iter(results.values()))["corrupted"])
    rows = ceil(len(corruptions) / 3)
    columns = legend_columns(list(results), 8.4, most=3)
    figure = Figure(figsize=(8.4, 0.5 + 2.3 * rows + 0.18 * ceil(len(results) / columns)))
    grid = figure.subplots(rows, 3, sharex=True, sharey=True, squeeze=False)
    for axes, corruption in zip(grid.flat, corruptions, strict=False):
        for number, (name, entry) in enumerate(results.items()):
            areas = {"0": entry["original"], **entry["corrupted"][corruption]}
            places = [float(severity) + 0.1 * (number - (len(results) - 1) / 2) for severity in areas]
            values = [area["value"] for area in areas.values()]
            axes.plot(places, values, marker="o", markersize=3, **line(number), label=name)
            _bars(axes, places, list(areas.values()), 0, line(number)["color"])
        axes.axhline(0.5, **CHANCE)
        axes.set(title=corruption.replace("_", " "))
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
    figure.supxlabel("Severity (0: the images as they are)", fontsize=9)
    figure.supylabel("Test AUROC", fontsize=9)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=columns)
    return figure


def _square(xlabel: str, ylabel: str, labels: Sequence[str]) -> tuple[Figure, Axes]:
    """Return a square plot. The figure has place for a legend with a row for each of `labels`."""
    figure = Figure(figsize=(max(5.0, legend_width(labels, 1)), 5.2 + 0.2 * (len(labels) + 1)))
    axes = figure.subplots()
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=xlabel, ylabel=ylabel, aspect="equal")
    return figure, axes


def _legend_below(figure: Figure, title: str) -> None:
    legend = figure.legend(title=title, loc="outside lower center")
    legend.get_title().set_fontweight("bold")


def _bars(axes: Axes, x: list[float], intervals: Sequence[Interval], lowest: float, color: str) -> None:
    """Draw each interval that has bounds as a vertical bar."""
    known = [
        (place, max(low, lowest), high)
        for place, interval in zip(x, intervals, strict=True)
        if (low := interval["low"]) is not None and (high := interval["high"]) is not None
    ]
    places, lows, highs = np.reshape(known, (-1, 3)).T
    axes.vlines(places, lows, highs, color=color, linewidth=1.4, alpha=0.6, zorder=3)


def _interval_label(metrics: Mapping[str, ModelMetrics]) -> str:
    level = next(iter(metrics.values()))["bootstrap"]["confidence_level"]
    return f"[{level:.0%} confidence interval]"
