"""Figures of training: learning curves, learning rates, the images of an epoch, and augmented images."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from melanoma.config.optimization import Optimizer
from melanoma.config.recipe import Recipe
from melanoma.figures.style import BENIGN, DASHES, FAINT, INK, MELANOMA, PALETTE, broken, line, styled
from melanoma.training.early_stopping import Monitor, best_epoch
from melanoma.training.schedules import rate_factor

TRAINING, VALIDATION = DASHES[1], DASHES[0]
MARKER: dict[str, Any] = {"marker": "o", "linestyle": "", "markeredgecolor": "white", "markersize": 7}


@styled
def learning_curves(histories: Mapping[str, Mapping[str, pd.DataFrame]], monitors: Mapping[str, Monitor]) -> Figure:
    """Draw the loss (left) and the AUROC (right) by epoch: a row for each model, a color for each run.

    `histories` maps model -> run -> history.csv, with loss and AUROC of training and of validation. A run without
    validation (the refit) shows its training alone. `monitors` maps a model to its recipe's monitor. The
    best epoch by the monitor is marked.
    """
    figure = Figure(figsize=(8.4, 2.75 * len(histories)))
    grid = figure.subplots(len(histories), 2, squeeze=False)
    for (loss, auroc), (model, runs) in zip(grid, histories.items(), strict=True):
        for number, (run, history) in enumerate(runs.items()):
            color = FAINT if run == "refit" else PALETTE[number % len(PALETTE)]
            _learning_curve(loss, auroc, history, run, color, monitors[model])
        loss.set(title=model, ylabel="Loss", xlabel="Epoch")
        auroc.set(ylabel="AUROC", xlabel="Epoch")
        for axes in (loss, auroc):
            axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
        for name, style in (("training", TRAINING), ("validation", VALIDATION)):
            loss.plot([], [], color=INK, linestyle=style, label=name)
        loss.legend()
        auroc.plot([], [], color=INK, **MARKER, label="best epoch")
        auroc.legend()
    return figure


def _learning_curve(loss: Axes, auroc: Axes, history: pd.DataFrame, run: str, color: str, monitor: Monitor) -> None:
    """Draw one run, and a mark at its best epoch."""
    for axes, column in ((loss, "train_loss"), (auroc, "train_auroc")):
        axes.plot(history["epoch"], history[column], color=color, linestyle=TRAINING, linewidth=1.3)
    validated = history.dropna(subset=["validation_loss"])
    loss.plot(validated["epoch"], validated["validation_loss"], color=color, linestyle=VALIDATION)
    auroc.plot(validated["epoch"], validated["validation_auroc"], color=color, label=run)
    if len(validated):
        best = validated[validated["epoch"] == best_epoch(validated, monitor)]
        loss.plot(best["epoch"], best["validation_loss"], color=color, **MARKER)
        auroc.plot(best["epoch"], best["validation_auroc"], color=color, **MARKER)


@styled
def schedules(recipes: Mapping[str, Recipe]) -> Figure:
    """Draw the learning rates by epoch: a panel for each model, a line for each learning rate of its recipe.

    All panels share one logarithmic axis, so that models can be compared. It ends at 1/3000 of the lowest learning rate
    of the recipes.
    """
    columns = min(len(recipes), 3)
    rows = -(-len(recipes) // columns)
    figure = Figure(figsize=(2.8 * columns, 0.3 + 2.0 * rows))
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    rates = {model: _base_rates(recipe.optimizer) for model, recipe in recipes.items()}
    every = [rate for named in rates.values() for rate in named.values()]
    for axes in grid.flat[len(recipes) :]:
        axes.remove()
    for axes, (model, recipe) in zip(grid.flat, recipes.items(), strict=False):
        epochs = np.linspace(0, recipe.epochs, 40 * recipe.epochs, endpoint=False)
        factors = np.array([rate_factor(recipe.schedule, recipe.epochs, epoch) for epoch in epochs.tolist()])
        for number, (parameters, rate) in enumerate(rates[model].items()):
            axes.plot(epochs, rate * factors, drawstyle="steps-post", **line(number), label=parameters)
        axes.set(
            title=broken(model, 26), yscale="log", ylim=(min(every) / 3000, 2 * max(every)), xlim=(0, recipe.epochs)
        )
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(5, integer=True))
        axes.yaxis.set_minor_locator(mpl.ticker.NullLocator())
        if len(rates[model]) > 1:
            axes.legend(fontsize=7)
    figure.supxlabel("Epoch", fontsize=9)
    figure.supylabel("Learning rate", fontsize=9)
    return figure


def _base_rates(optimizer: Optimizer) -> dict[str, float]:
    """Return the initial learning rates of an optimizer by the pattern of their parameters' names."""
    groups = {group.match: group.learning_rate for group in optimizer.groups if group.learning_rate is not None}
    return groups | {"all others" if groups else "all": optimizer.learning_rate}


@styled
def sampling(counts: pd.DataFrame) -> Figure:
    """Draw the images of an epoch by class, and which of them are repeats.

    `counts` has a row for each model with the counts of `epoch_counts`.
    """
    figure = Figure(figsize=(8.4, 0.9 + 0.36 * len(counts)))
    axes = figure.subplots()
    left = np.zeros(len(counts))
    for column, color, hatch in (
        ("benign", BENIGN, None),
        ("benign_again", BENIGN, "////"),
        ("melanoma", MELANOMA, None),
        ("melanoma_again", MELANOMA, "////"),
    ):
        label = column.replace("_again", ", repeated")
        axes.barh(counts.index, counts[column], left=left, color=color, hatch=hatch, edgecolor="white", label=label)
        left += counts[column].to_numpy()
    axes.invert_yaxis()
    axes.set_xlabel("Images per epoch")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
    return figure


@styled
def augmentation(sheet: NDArray[np.uint8], model: str) -> Figure:
    """Draw a row for each image: the original, then the augmented image of each epoch.

    `sheet` is uint8 (images, 1 + epochs, side, side, 3), from `contact_sheet`.
    """
    rows, columns = sheet.shape[:2]
    figure = Figure(figsize=(columns, 0.97 * rows + 0.5))
    figure.suptitle(f"Augmentation of {model}", x=0.005, ha="left", fontsize=10, fontweight="bold")
    grid = figure.subplots(rows, columns, squeeze=False)
    for image, axes in zip(sheet.reshape(-1, *sheet.shape[2:]), grid.flat, strict=True):
        axes.imshow(image)
        axes.axis("off")
    for epoch, axes in enumerate(grid[0]):
        title = f"epoch {epoch}" if epoch else "original"
        axes.set_title(title, fontsize=8.5, fontweight="normal", loc="center")
    return figure
