"""The tables of the page: one content for HTML, CSV and LaTeX, so that their numbers are the same."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from typing import Any, Literal, NamedTuple

Cell = Any  # a text, a number, an interval (a dictionary with value, low and high), or None
FEW_MELANOMAS = 100  # with fewer in the test set, the third decimal of a rate says nothing
FEWEST = 5  # melanomas, or benign images: a rate of fewer in a group says nothing, and is not shown
LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "²": "$^2$",
        "≥": r"$\geq$",
        "<": "$<$",
        "\xa0": "~",
    }
)


def decimals(melanomas: int) -> int:
    """Return the decimals of a rate in a test set with so many melanomas."""
    return 2 if melanomas < FEW_MELANOMAS else 3


def unless_few(cell: Cell, images: int) -> Cell:
    """Return the cell of a rate that the class of so many images decides, or a text in its place if they are few."""
    return cell if cell is None or images >= FEWEST else "too few"


class Column(NamedTuple):
    """A column: its name in CSV, its heading, what its cells are, and the decimals of its numbers.

    A text in place of a number is shown as it is. A `signed` number has a sign. A `p` is a p value. `short` is a number
    with four significant digits.
    """

    key: str
    heading: str
    kind: Literal["text", "count", "number", "signed", "p", "short"] = "text"
    digits: int = 3


class Shown(NamedTuple):
    """A cell as texts: the value and the interval, which may be empty, and what the cell is sorted by."""

    value: str
    interval: str
    order: str


@dataclass(frozen=True)
class Table:
    """A table. `selected` is the first cell of the row that is marked. `bars` adds a drawing of the intervals."""

    name: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    selected: str | None = None
    bars: str | None = None
    axis: tuple[float, float] = (0.5, 1.0)
    searched: bool = field(default=False)

    def shown(self) -> list[list[Shown]]:
        """Return the texts of all cells."""
        return [[show(cell, column) for cell, column in zip(row, self.columns, strict=True)] for row in self.rows]

    def bar(self, row: Sequence[Cell]) -> dict[str, float] | None:
        """Return where the bar of a row starts and ends and where its value is, in percent of the axis."""
        cell = row[[column.key for column in self.columns].index(self.bars or "")]
        if not isinstance(cell, Mapping) or value_of(cell) is None:
            return None
        bounds = {key: cell[key] if cell[key] is not None else cell["value"] for key in ("low", "value", "high")}
        width = self.axis[1] - self.axis[0]
        places = {key: 100 * (bound - self.axis[0]) / width for key, bound in bounds.items()}
        return {key: round(min(max(place, 0.0), 100.0), 2) for key, place in places.items()}


def show(cell: Cell, column: Column) -> Shown:
    """Return a cell of a column as texts."""
    if column.kind == "text":
        text = "" if cell is None else str(cell)
        return Shown(text, "", text)
    if isinstance(cell, str):
        return Shown(cell, "", "")
    value = value_of(cell)
    if value is None:
        return Shown("", "", "")
    text = number(value, column)
    bounds = (cell["low"], cell["high"]) if isinstance(cell, Mapping) else (None, None)
    known = [number(bound, column) for bound in bounds if bound is not None and not isnan(bound)]
    interval = f"[{', '.join(known)}]" if len(known) == 2 else ""
    return Shown(text, interval, repr(value))


def number(value: float, column: Column) -> str:
    """Return a number as text."""
    if column.kind == "count":
        return f"{value:,.0f}"
    if column.kind == "short":
        return f"{value:.4g}"
    if column.kind == "p":
        return "< 0.0001" if value < 0.0001 else f"{value:.4f}"
    return f"{value:{'+' if column.kind == 'signed' else ''}.{column.digits}f}"


def value_of(cell: Cell) -> float | None:
    """Return the number of a cell, and None if it has none, such as a text."""
    value = cell["value"] if isinstance(cell, Mapping) else cell
    return None if isinstance(value, str | None) or (isinstance(value, float) and isnan(value)) else value


def as_csv(table: Table) -> str:
    """Return the table as CSV with all digits. An interval has the columns KEY, KEY_low and KEY_high."""
    intervals = [any(isinstance(row[place], Mapping) for row in table.rows) for place in range(len(table.columns))]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    header: list[str] = []
    for column, spread in zip(table.columns, intervals, strict=True):
        header += [column.key, f"{column.key}_low", f"{column.key}_high"] if spread else [column.key]
    writer.writerow(header)
    for row in table.rows:
        cells: list[Cell] = []
        for cell, spread in zip(row, intervals, strict=True):
            parts = cell if isinstance(cell, Mapping) else {"value": cell}
            cells += [parts.get(key) for key in ("value", "low", "high")] if spread else [cell]
        writer.writerow(["" if cell is None else cell for cell in cells])
    return stream.getvalue()


def as_latex(table: Table) -> str:
    """Return the table as LaTeX, for the package booktabs, with the digits of the page."""
    kinds = "".join("l" if column.kind == "text" else "r" for column in table.columns)
    lines = [
        r"\begin{table}",
        rf"\caption{{{table.caption.translate(LATEX)}}}",
        rf"\label{{tab:{table.name}}}",
        rf"\begin{{tabular}}{{{kinds}}}",
        r"\toprule",
        " & ".join(column.heading.translate(LATEX) for column in table.columns) + r" \\",
        r"\midrule",
    ]
    for cells in table.shown():
        texts = [f"{cell.value} {cell.interval}".strip().translate(LATEX) for cell in cells]
        lines.append(" & ".join(texts) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def plain(name: str, caption: str, headings: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Table:
    """Return a table of texts."""
    return Table(name, caption, [Column(heading.lower(), heading) for heading in headings], list(rows))
