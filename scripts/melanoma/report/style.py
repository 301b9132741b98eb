"""The style that all figures share. Equal data give equal files, byte for byte."""

import io
from pathlib import Path
from typing import Any, TypedDict

import matplotlib as mpl
from matplotlib.figure import Figure

from melanoma.common.errors import InputError
from melanoma.common.files import write_checked

# The palette of Okabe and Ito is safe under every common color blindness. Its yellow is too pale for lines.
PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
Dashes = str | tuple[int, tuple[float, ...]]
DASHES: list[Dashes] = ["-", (0, (5, 1.5)), (0, (1.5, 1.5)), (0, (6, 1.5, 1.5, 1.5))]
BENIGN, MELANOMA = "#A9C6DC", "#B3382C"
INK, FAINT = "#222222", "#8A8A8A"
CHANCE: dict[str, Any] = {"color": FAINT, "linewidth": 1, "linestyle": (0, (2, 2)), "zorder": 1}
styled = mpl.rc_context(
    {
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
)


class Line(TypedDict):
    """Color and dashes of a line."""

    color: str
    linestyle: Dashes


def line(number: int) -> Line:
    """Return the line of the model, run or parameter group with this number. The first 28 lines all differ."""
    return {"color": PALETTE[number % len(PALETTE)], "linestyle": DASHES[number // len(PALETTE) % len(DASHES)]}


@styled
def save(figure: Figure, path: Path) -> None:
    """Write a figure without a date, as SVG or PNG, with its SHA-256 beside it.

    Raises InputError if the name ends neither in .svg nor in .png.
    """
    kind = path.suffix.lstrip(".").lower()
    undated = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}
    if kind not in undated:
        raise InputError(f"{path}: a figure is written as .svg or .png; use one of these endings")
    content = io.BytesIO()
    figure.savefig(content, format=kind, metadata=undated[kind])
    write_checked(path, content.getvalue())
