"""Figures of the data: the class balance of the split, and sample images."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from melanoma.figures.style import BENIGN, MELANOMA, styled

SHEET_COLUMNS = 8


@styled
def class_balance(counts: pd.DataFrame) -> Figure:
    """Draw the images (left) and the units (right), if they are not the images, by part, fold and class.

    See `balance` for `counts`.
    """
    units = [column.removeprefix("benign_") for column in counts if column.startswith("benign_")]
    figure = Figure(figsize=(8.4, 0.9 + 0.36 * len(counts)))
    grid = figure.subplots(1, len(units), sharey=True, squeeze=False)[0]
    names = counts.index.tolist()
    for axes, unit in zip(grid, units, strict=True):
        benign, melanoma = counts[f"benign_{unit}"], counts[f"melanoma_{unit}"]
        axes.barh(names, benign, color=BENIGN, height=0.68)
        axes.barh(names, melanoma, left=benign, color=MELANOMA, height=0.68)
        for row, (rest, melanomas) in enumerate(zip(benign, melanoma, strict=True)):
            total = rest + melanomas
            label = f"  {melanomas:,} of {total:,} ({melanomas / max(total, 1):.1%})"
            axes.text(total, row, label, va="center", fontsize=7.5)
        axes.set_xlim(0, 1.45 * (benign + melanoma).max())
        axes.set_title(unit.capitalize())
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(4, integer=True))
        axes.xaxis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:,.0f}"))
    grid[0].invert_yaxis()
    notes = [f" ({units[1]}: {note})" if units[1:] else "" for note in ("at least one melanoma", "benign images only")]
    keys = [Patch(color=MELANOMA, label=f"melanoma{notes[0]}"), Patch(color=BENIGN, label=f"benign{notes[1]}")]
    figure.legend(handles=keys, loc="outside lower left", ncols=2)
    return figure


def balance(train: pd.DataFrame, test: Mapping[str, int], unit: str = "patient") -> pd.DataFrame:
    """Count images and units of each class in each fold, in the extra training images, and in the test set.

    `train` has patient, fold and target; fold is -1 for extra training images. `test` has the counts of the leakage
    check: images, melanomas and, for unit patient, patients and melanoma_patients. A patient counts as melanoma with at
    least one melanoma. Returns a row for each part with benign_images, melanoma_images and, if the unit is not the
    image, benign_patients and melanoma_patients, or the same of lesions.
    """
    table = train.assign(name=("fold " + train["fold"].astype(str)).where(train["fold"] >= 0, "extra_train"))
    plural = f"{unit}s"
    members = {"images": table}
    if unit != "image":
        members[plural] = table.groupby(["name", "patient"], as_index=False)["target"].max()
    melanomas = {"images": test["melanomas"], plural: test.get(f"melanoma_{plural}", test["melanomas"])}
    counts = pd.DataFrame(index=table.sort_values("fold")["name"].unique())
    for kind, rows in members.items():
        by_name = rows.groupby("name")["target"].agg(["size", "sum"])
        counts[f"benign_{kind}"], counts[f"melanoma_{kind}"] = by_name["size"] - by_name["sum"], by_name["sum"]
    of_test = {f"benign_{kind}": test[kind] - melanomas[kind] for kind in members}
    counts.loc["test"] = of_test | {f"melanoma_{kind}": melanomas[kind] for kind in members}
    return counts.astype(np.int64)


def choose_samples(train: pd.DataFrame, target: int, count: int, seed: int) -> list[int]:
    """Draw `count` training images of one class at random, or take all if there are fewer. Return their store rows."""
    rows = np.sort(train.loc[train["target"] == target, "row"].to_numpy())
    order = np.random.default_rng([seed, target]).permutation(len(rows))[:count]
    return [int(row) for row in rows[order]]


@styled
def samples(benign: NDArray[np.uint8], melanoma: NDArray[np.uint8]) -> Figure:
    """Draw benign images above melanomas. Each array is uint8 (images, side, side, 3)."""
    rows = [-(-len(images) // SHEET_COLUMNS) for images in (benign, melanoma)]
    figure = Figure(figsize=(SHEET_COLUMNS, 1.02 * sum(rows) + 0.5))
    blocks = figure.subfigures(2, 1, squeeze=False, height_ratios=[max(count, 0.3) for count in rows])[:, 0]
    for block, name, images, count in zip(blocks, ("Benign", "Melanoma"), (benign, melanoma), rows, strict=True):
        block.suptitle(name, x=0.005, ha="left", fontsize=10, fontweight="bold")
        for number, axes in enumerate(block.subplots(max(count, 1), SHEET_COLUMNS, squeeze=False).flat):
            axes.axis("off")
            if number < len(images):
                axes.imshow(images[number])
    return figure
