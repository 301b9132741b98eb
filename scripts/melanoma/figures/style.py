"""The style that all figures share. Equal data give equal files, byte for byte."""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil
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
# Inches of a line with its margins, and of a character, in a legend.
SAMPLE, CHARACTER = 0.57, 0.072
FORMATS = {".svg": ("svg", "png", "pdf"), ".png": ("png",)}
UNDATED: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
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


def legend_width(texts: Sequence[str], columns: int) -> float:
    """Return how many inches a legend of these texts is wide."""
    rows = ceil(len(texts) / columns)
    longest = [max(map(len, texts[start : start + rows])) for start in range(0, len(texts), rows)]
    return sum(SAMPLE + CHARACTER * length for length in longest)


def legend_columns(texts: Sequence[str], inches: float, most: int) -> int:
    """Return the number of columns, at most `most`, in which a legend of these texts fits so many inches."""
    return next((count for count in range(most, 1, -1) if legend_width(texts, count) <= inches), 1)


def broken(name: str, most: int) -> str:
    """Return a name in lines of at most so many characters, broken after an underscore where it has one."""
    return "\n".join(re.findall(f".{{1,{most}}}(?:_|$)|.{{1,{most}}}", name))


@styled
def save(figure: Figure, path: Path) -> None:
    """Write a figure without a date, as PNG; as SVG, with the same as PNG and PDF beside it; each with its SHA-256.

    Raises InputError if the name ends neither in .svg nor in .png.
    """
    if path.suffix not in FORMATS:
        raise InputError(f"{path}: a figure is written as .svg or .png; use one of these endings")
    with _laid_out(figure):
        for kind in FORMATS[path.suffix]:
            content = io.BytesIO()
            figure.savefig(content, format=kind, metadata=UNDATED[kind])
            write_checked(path.with_suffix(f".{kind}"), content.getvalue())


@contextmanager
def _laid_out(figure: Figure) -> Iterator[None]:
    """Place the parts of a figure once. Each format would otherwise do it again, and draw the figure twice."""
    figure.draw_without_rendering()
    with mpl.rc_context({"figure.constrained_layout.use": False}):
        figure.set_layout_engine(None)
        yield
