"""The figures of a study. The same data give the same file, byte for byte."""

from math import ceil
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from melanoma.common.errors import InputError
from melanoma.common.files import atomic_path
from melanoma.evaluation.summary import interval_text
from melanoma.training.early_stopping import best_epoch
from melanoma.training.schedules import rate_factor

# Okabe and Ito's palette, told apart under every common color blindness; its yellow is too pale for lines.
PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
DASHES = ["-", (0, (5, 1.5)), (0, (1.5, 1.5)), (0, (6, 1.5, 1.5, 1.5))]
BENIGN, MELANOMA = "#A9C6DC", "#B3382C"
INK, FAINT = "#222222", "#8A8A8A"
# Of many models' lines that of the selected model stands out.
SELECTED, OTHER = {"linewidth": 2.2, "zorder": 3}, {"linewidth": 1, "alpha": 0.8}
CHANCE = {"color": FAINT, "linewidth": 1, "linestyle": (0, (2, 2)), "zorder": 1}
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.7,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.7,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "savefig.dpi": 200,
    "svg.hashsalt": "melanoma",
}
styled = mpl.rc_context(STYLE)


@styled
def save(figure: Figure, path: str | Path) -> None:
    """Write `figure` as SVG or PNG, by the name's ending, atomically and without a date."""
    path = Path(path)
    kind = path.suffix.lstrip(".").lower()
    undated = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}
    if kind not in undated:
        raise InputError(f"{path}: figures are written as .svg or .png")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=kind, metadata=undated[kind])


@styled
def roc(curves: dict[str, Any], metrics: dict[str, Any]) -> Figure:
    """Draw each model's ROC curve, with its AUROC and interval in the legend; the diagonal is chance."""
    figure, axes = _square("False positive rate (1 - specificity)", "True positive rate (sensitivity)", len(curves))
    for number, (name, curve) in enumerate(curves.items()):
        points = curve["roc"]["false_positive_rate"], curve["roc"]["true_positive_rate"]
        axes.plot(*points, **_line(number), label=f"{name}  {interval_text(metrics[name]['auroc'])}")
    axes.plot([0, 1], [0, 1], **CHANCE, label="chance  0.5000")
    _legend_below(axes, f"AUROC{_confidence(metrics)}")
    return figure


@styled
def precision_recall(curves: dict[str, Any], metrics: dict[str, Any]) -> Figure:
    """Draw each model's precision over recall in steps, with its average precision, the area below.

    The dashed line, at the share of melanomas, is chance.
    """
    figure, axes = _square("Recall (sensitivity)", "Precision (positive predictive value)", len(curves))
    for number, (name, curve) in enumerate(curves.items()):
        recall, precision = curve["precision_recall"]["recall"], curve["precision_recall"]["precision"]
        label = f"{name}  {interval_text(metrics[name]['average_precision'])}"
        steps = [0.0, *recall], [precision[0], *precision]
        axes.plot(*steps, drawstyle="steps-pre", **_line(number), label=label)
    for prevalence in sorted({curve["prevalence"] for curve in curves.values()}):
        axes.axhline(prevalence, **CHANCE, label=f"chance  {prevalence:.4f}")
    _legend_below(axes, f"Average precision{_confidence(metrics)}")
    return figure


@styled
def reliability(calibration: dict[str, Any], selected_model: str) -> Figure:
    """Draw each model's share of melanomas over its mean probability, in bins, raw and, where it is, calibrated.

    The intervals are those of the selected model, for those of many models would cover each other. Both axes are
    logarithmic, for melanomas are rare; a bin without a melanoma has no place on them.
    """
    scales = [s for s in ("raw", "calibrated") if any(s in entry["reliability"] for entry in calibration.values())]
    figure = Figure(figsize=(4.2 * len(scales), 4.9))
    grid = figure.subplots(1, len(scales), sharex=True, sharey=True, squeeze=False)[0]
    shown = [bin_ for entry in calibration.values() for bins in entry["reliability"].values() for bin_ in bins]
    least = min((bin_[share]["value"] for bin_ in shown for share in bin_ if bin_[share]["value"]), default=0.1) / 2
    for axes, scale in zip(grid, scales, strict=True):
        axes.plot([least, 1], [least, 1], **CHANCE, label="perfect calibration")
        for number, (name, entry) in enumerate(calibration.items()):
            bins = [bin_ for bin_ in entry["reliability"].get(scale, []) if bin_["observed"]["value"]]
            predicted, observed = ([bin_[share] for bin_ in bins] for share in ("predicted", "observed"))
            points = [share["value"] for share in predicted], [share["value"] for share in observed]
            axes.plot(
                *points,
                marker="o",
                markersize=3,
                **_line(number),
                **(SELECTED if name == selected_model else OTHER),
                label=name,
            )
            if name == selected_model:
                _bars(axes, points[0], observed, least, _line(number)["color"])
        axes.set(title=scale.capitalize(), xscale="log", yscale="log", xlim=(least, 1.1), ylim=(least, 1.1))
        axes.set_xlabel("Mean probability of the bin")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
            axis.set_minor_formatter(mpl.ticker.NullFormatter())
    grid[0].set_ylabel("Share of melanomas in the bin")
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=2 * len(scales))
    return figure


@styled
def decision(curves: dict[str, Any], metrics: dict[str, Any], selected_model: str) -> Figure:
    """Draw each model's net benefit by threshold probability, and the intervals of the selected model.

    The gray curve treats all, the gray line none.
    """
    figure = Figure(figsize=(6.4, 5.0 + 0.18 * ceil(len(curves) / 3)))
    axes = figure.subplots()
    for number, (name, curve) in enumerate(curves.items()):
        points = curve["decision"]["threshold"], curve["decision"]["net_benefit"]
        axes.plot(*points, **_line(number), **(SELECTED if name == selected_model else OTHER), label=name)
        if name == selected_model:
            known = metrics[name].get("calibrated", metrics[name])["net_benefit"]
            _bars(axes, [float(at) for at in known], list(known.values()), -np.inf, _line(number)["color"])
    for prevalence in sorted({curve["prevalence"] for curve in curves.values()}):
        threshold = np.array(next(iter(curves.values()))["decision"]["threshold"])
        everyone = prevalence - (1 - prevalence) * threshold / (1 - threshold)
        axes.plot(threshold, everyone, color=FAINT, linewidth=1.2, label="treat all")
    axes.axhline(0, **CHANCE, label="treat none")
    most = max(value for curve in curves.values() for value in (*curve["decision"]["net_benefit"], curve["prevalence"]))
    # To treat all costs without bound; a little of that is enough to see.
    axes.set(ylim=(max(axes.dataLim.y0 - 0.05 * most, -0.35 * most), axes.dataLim.y1 + 0.05 * most), xlim=(0, None))
    axes.set(xlabel="Threshold probability: act from this risk on", ylabel="Net benefit, per image")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


@styled
def learning_curves(histories: dict[str, dict[str, pd.DataFrame]], choose_by: dict[str, str]) -> Figure:
    """Draw loss (left) and validation AUROC (right) by epoch, a row for each model, a color for each run.

    `histories` maps model -> run -> history (see SPEC of history.csv: epoch, train_loss, validation_loss,
    validation_auroc); a run without validation, the refit, shows its training loss alone. `choose_by` maps
    model to 'loss' or 'auroc' (the default): the epoch that is best by it is marked.
    """
    figure = Figure(figsize=(8.4, 2.75 * len(histories)))
    grid = figure.subplots(len(histories), 2, squeeze=False)
    for (loss, auroc), (model, runs) in zip(grid, histories.items(), strict=True):
        for number, (run, history) in enumerate(runs.items()):
            _learning_curve(loss, auroc, history, run, number, choose_by.get(model, "auroc"))
        loss.set(title=model, ylabel="Loss", xlabel="Epoch")
        auroc.set(ylabel="Validation AUROC", xlabel="Epoch")
        for axes in (loss, auroc):
            axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
        _learning_legend(loss, auroc)
    return figure


@styled
def plot_schedules(recipes: dict[str, dict[str, Any]]) -> Figure:
    """Draw the learning rate by epoch, a panel for each model of `recipes`, a line for each rate that the recipe names.

    All panels have one logarithmic axis, so that models can be compared, cut at 1/3000 of the least rate in a recipe.
    """
    columns = min(len(recipes), 3)
    rows = -(-len(recipes) // columns)
    figure = Figure(figsize=(2.8 * columns, 0.3 + 2.0 * rows))
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    rates = {model: _base_rates(recipe["optimizer"]) for model, recipe in recipes.items()}
    every = [rate for named in rates.values() for rate in named.values()]
    for axes in grid.flat[len(recipes) :]:
        axes.remove()
    for axes, (model, recipe) in zip(grid.flat, recipes.items(), strict=False):
        epochs = np.linspace(0, recipe["epochs"], 40 * recipe["epochs"], endpoint=False)
        factors = np.array([rate_factor(recipe["schedule"], recipe["epochs"], epoch) for epoch in epochs.tolist()])
        for number, (parameters, rate) in enumerate(rates[model].items()):
            axes.plot(epochs, rate * factors, drawstyle="steps-post", **_line(number), label=parameters)
        axes.set(title=model, yscale="log", ylim=(min(every) / 3000, 2 * max(every)), xlim=(0, recipe["epochs"]))
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(5, integer=True))
        axes.yaxis.set_minor_locator(mpl.ticker.NullLocator())
        if len(rates[model]) > 1:
            axes.legend(fontsize=7)
    figure.supxlabel("Epochs done", fontsize=9)
    figure.supylabel("Learning rate", fontsize=9)
    return figure


@styled
def sampling(counts: pd.DataFrame) -> Figure:
    """Draw the images of an epoch of each model (the index of `counts`, see `epoch_counts`), first ones and repeats."""
    figure = Figure(figsize=(8.4, 0.9 + 0.36 * len(counts)))
    axes = figure.subplots()
    left = np.zeros(len(counts))
    for column, color, hatch in (
        ("benign", BENIGN, None),
        ("benign_again", BENIGN, "////"),
        ("melanoma", MELANOMA, None),
        ("melanoma_again", MELANOMA, "////"),
    ):
        label = column.replace("_again", ", shown again")
        axes.barh(counts.index, counts[column], left=left, color=color, hatch=hatch, edgecolor="white", label=label)
        left += counts[column].to_numpy()
    axes.invert_yaxis()
    axes.set_xlabel("Images of an epoch")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False)
    return figure


@styled
def class_balance(counts: pd.DataFrame) -> Figure:
    """Draw images (left) and patients (right) of each part and fold, by class; see `balance`."""
    figure = Figure(figsize=(8.4, 0.9 + 0.36 * len(counts)))
    grid = figure.subplots(1, 2, sharey=True)
    names = counts.index.tolist()
    for axes, unit in zip(grid, ("images", "patients"), strict=True):
        benign, melanoma = counts[f"benign_{unit}"], counts[f"melanoma_{unit}"]
        axes.barh(names, benign, color=BENIGN, height=0.68)
        axes.barh(names, melanoma, left=benign, color=MELANOMA, height=0.68)
        for place, (rest, found) in enumerate(zip(benign, melanoma, strict=True)):
            share = found / max(rest + found, 1)
            axes.text(
                rest + found,
                place,
                f"  {found:,} of {rest + found:,} ({share:.1%})",
                va="center",
                fontsize=7.5,
            )
        axes.set_xlim(0, 1.45 * (benign + melanoma).max())
        axes.set_title(unit.capitalize())
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(4, integer=True))
        axes.xaxis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:,.0f}"))
    grid[0].invert_yaxis()
    keys = [
        Patch(color=MELANOMA, label="melanoma (a patient with one or more)"),
        Patch(color=BENIGN, label="benign only"),
    ]
    figure.legend(handles=keys, loc="outside lower left", ncols=2)
    return figure


def balance(train: pd.DataFrame, test: dict[str, int]) -> pd.DataFrame:
    """Count images and patients by class in each fold of train, among images that only train, and in the test.

    `train` has patient, fold and target; `test` is what the audit counted: images, melanomas, patients and
    melanoma_patients. A patient with any melanoma counts as melanoma. Columns: benign_images, melanoma_images,
    benign_patients, melanoma_patients.
    """
    table = train.assign(name=("fold " + train["fold"].astype(str)).where(train["fold"] >= 0, "extra_train"))
    images = table.groupby("name")["target"].agg(["size", "sum"])
    patients = table.groupby(["name", "patient"])["target"].max().groupby("name").agg(["size", "sum"])
    counts = pd.DataFrame(
        {
            "benign_images": images["size"] - images["sum"],
            "melanoma_images": images["sum"],
            "benign_patients": patients["size"] - patients["sum"],
            "melanoma_patients": patients["sum"],
        }
    )
    counts = counts.loc[table.sort_values("fold")["name"].unique()]
    counts.loc["test"] = [
        test["images"] - test["melanomas"],
        test["melanomas"],
        test["patients"] - test["melanoma_patients"],
        test["melanoma_patients"],
    ]
    return counts.astype(np.int64)


@styled
def samples(benign: np.ndarray, melanoma: np.ndarray) -> Figure:
    """Draw a contact sheet, benign images above, melanomas below; each uint8 (images, side, side, 3)."""
    columns = 8
    rows = [-(-len(images) // columns) for images in (benign, melanoma)]
    figure = Figure(figsize=(columns, 1.02 * sum(rows) + 0.5))
    blocks = figure.subfigures(2, 1, height_ratios=[max(count, 0.3) for count in rows])
    for block, name, images, count in zip(blocks, ("Benign", "Melanoma"), (benign, melanoma), rows, strict=True):
        block.suptitle(name, x=0.005, ha="left", fontsize=10, fontweight="bold")
        for place, axes in enumerate(block.subplots(max(count, 1), columns, squeeze=False).flat):
            axes.axis("off")
            if place < len(images):
                axes.imshow(images[place])
    return figure


@styled
def augmentation(sheet: np.ndarray, model: str) -> Figure:
    """Draw a model's contact sheet, uint8 (images, 1 + epochs, side, side, 3): a row an image, itself first."""
    rows, columns = sheet.shape[:2]
    figure = Figure(figsize=(columns, 0.97 * rows + 0.5))
    figure.suptitle(f"Augmentation of {model}", x=0.005, ha="left", fontsize=10, fontweight="bold")
    grid = figure.subplots(rows, columns, squeeze=False)
    for images, line in zip(sheet, grid, strict=True):
        for image, axes in zip(images, line, strict=True):
            axes.imshow(image)
            axes.axis("off")
    for place, axes in enumerate(grid[0]):
        axes.set_title(f"epoch {place}" if place else "as it is", fontsize=8.5, fontweight="normal", loc="center")
    return figure


def choose_samples(train: pd.DataFrame, target: int, count: int, seed: int) -> list[int]:
    """Choose at random the store's rows of `count` training images of one class, or all there are."""
    rows = np.sort(train.loc[train["target"] == target, "row"].to_numpy())
    chosen = np.random.default_rng([seed, target]).permutation(len(rows))[:count]
    return rows[chosen].tolist()


def _square(xlabel: str, ylabel: str, curves: int) -> tuple[Figure, Axes]:
    """A square plot that the legend below, a line for each of `curves`, leaves its size."""
    figure = Figure(figsize=(5.0, 5.2 + 0.2 * (curves + 1)))
    axes = figure.subplots()
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=xlabel, ylabel=ylabel, aspect="equal")
    return figure, axes


def _legend_below(axes: Axes, title: str) -> None:
    legend = axes.figure.legend(title=title, loc="outside lower center")
    legend.get_title().set_fontweight("bold")


def _bars(axes: Axes, at: list[float], estimates: list[dict[str, Any]], least: float, color: str) -> None:
    known = [(x, made) for x, made in zip(at, estimates, strict=True) if made["low"] is not None]
    lows, highs = [max(made["low"], least) for _, made in known], [made["high"] for _, made in known]
    axes.vlines([x for x, _ in known], lows, highs, color=color, linewidth=1.4, alpha=0.6, zorder=3)


def _confidence(metrics: dict[str, Any]) -> str:
    made = next(iter(metrics.values()))["bootstrap"]
    return f" [{made['confidence_level']:.0%} interval]"


def _line(number: int) -> dict[str, Any]:
    return {
        "color": PALETTE[number % len(PALETTE)],
        "linestyle": DASHES[number // len(PALETTE) % len(DASHES)],
    }


def _base_rates(optimizer: dict[str, Any]) -> dict[str, float]:
    """The learning rates that an optimizer starts from, by the pattern of the parameters that have them."""
    own = {
        group["match"]: group["learning_rate"] for group in optimizer["groups"] if group["learning_rate"] is not None
    }
    return own | {"all others" if own else "all": optimizer["learning_rate"]}


def _learning_curve(loss: Axes, auroc: Axes, history: pd.DataFrame, run: str, number: int, choose_by: str) -> None:
    color = FAINT if run == "refit" else PALETTE[number % len(PALETTE)]
    loss.plot(history["epoch"], history["train_loss"], color=color, linestyle=DASHES[1], linewidth=1.3)
    validated = history.dropna(subset=["validation_loss"])
    if validated.empty:
        auroc.plot([], [], color=color, label=run)
        return
    loss.plot(validated["epoch"], validated["validation_loss"], color=color)
    auroc.plot(validated["epoch"], validated["validation_auroc"], color=color, label=run)
    best = validated.index[validated["epoch"] == best_epoch(validated, choose_by)][0]
    chosen = validated.loc[best]
    for axes, column in ((loss, "validation_loss"), (auroc, "validation_auroc")):
        axes.plot(chosen["epoch"], chosen[column], "o", color=color, markeredgecolor="white", markersize=7)


def _learning_legend(loss: Axes, auroc: Axes) -> None:
    for style, name in ((DASHES[1], "training"), (DASHES[0], "validation")):
        loss.plot([], [], color=INK, linestyle=style, label=name)
    loss.legend()
    auroc.plot([], [], "o", color=INK, markeredgecolor="white", markersize=7, label="chosen epoch")
    auroc.legend()
