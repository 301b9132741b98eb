"""The reader of the CSV, TSV and Parquet tables that users give."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from melanoma.common.errors import InputError, listing
from melanoma.common.files import read_parquet
from melanoma.tables.identifiers import plain
from melanoma.tables.table_texts import LINE_END, read_text

MISSING = {"", "NA", "N/A", "NaN", "nan", "null", "None", "<NA>"}
STATED_DELIMITER = re.compile(r'"?sep=(.)"?\s*[\r\n]', re.IGNORECASE)
# The start of a formula. A number with a sign is none.
FORMULA = re.compile(r"^(?=[=@\t\r]|[+-](?!\d+(\.\d*)?\Z))")
QUOTED = re.compile(r'"[^"]*"')


@dataclass(frozen=True)
class Table:
    """A table as texts.

    `columns` maps each name to its texts, None where a cell is missing. `rows` has the number of each row: its line in
    a text file, as an editor counts, or its place in a Parquet file, from 1. `faults` says what is wrong with the
    length of a row, None where nothing is.
    """

    path: Path
    columns: dict[str, pd.Series]
    rows: list[int]
    faults: pd.Series


def read_table(path: Path, header: Sequence[str] | None = None) -> Table:
    """Read a table as texts; raise InputError if it cannot be read or has no row.

    `header` names the columns of a text file without a header.
    """
    if _is_parquet(path):
        frame = _read_parquet(path)
        texts = {name: _texts(column.array) for name, column in frame.items()}
        table = Table(path, texts, frame.index.tolist(), pd.Series([None] * len(frame), dtype="str"))
    else:
        table = _read_csv(path, header)
    if not table.rows:
        raise InputError(f"{path}: the table is empty: it has a header and no row. Give the complete table")
    return table


def read_frame(path: Path) -> pd.DataFrame:
    """Read a table of complete rows, indexed by the numbers of the rows (see `Table`).

    A Parquet file keeps its types; a text file gives texts. Raises InputError if the table cannot be read, or if a row
    has too many or too few fields.
    """
    if _is_parquet(path):
        return _read_parquet(path)
    table = _read_csv(path)
    faults = table.faults.set_axis(table.rows).dropna()
    if len(faults):
        lines = listing(f"line {line}: {fault}" for line, fault in faults.items())
        raise InputError(f"{path}: rows of the wrong length:\n{lines}\nAdd a comma, or quote a text that has one")
    return pd.DataFrame(table.columns).set_axis(table.rows)


def without_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table in which a spreadsheet runs nothing: an apostrophe is before each text that begins a formula."""
    return table.apply(lambda column: column.str.replace(FORMULA, "'", regex=True) if column.dtype == "str" else column)


def row_name(path: str | Path) -> str:
    """Return what the number of a row counts at `path`: rows of a Parquet file, files of folders, else lines."""
    path = Path(path)
    if path.is_dir():
        return "file"
    return "row" if _is_parquet(path) else "line"


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in (".parquet", ".pq")


def _read_csv(path: Path, header: Sequence[str] | None = None) -> Table:
    """Read a text file without its blank lines, and without what Excel adds: a line `sep=,` and empty columns."""
    try:
        text = read_text(path)
    except FileNotFoundError as error:
        raise _no_such_table(path) from error
    except OSError as error:
        raise InputError(f"{path}: the table cannot be read: {error.strerror}") from error
    lines = io.StringIO(text, newline="")
    stated = STATED_DELIMITER.match(text)
    if stated:
        lines.readline()
    skipped = int(stated is not None)
    reader = csv.reader(lines, strict=True, delimiter=stated[1] if stated else _delimiter(path, text))
    try:
        header = [name.strip() for name in header or next(reader, [])]
        numbered = [(reader.line_num + skipped, row) for row in reader if any(row)]
    except csv.Error as error:
        where = f"{path}: line {reader.line_num + skipped}"
        raise InputError(f"{where} is not valid CSV: {error}. Save the table as CSV") from error
    if not any(header):
        raise InputError(f"{path}: the table is empty. Give the complete table")
    width = len(header)
    named = max(number for number, name in enumerate(header, 1) if name)
    faults = [
        None if len(row) >= named and not any(row[width:]) else f"{len(row)} fields, expected {width} as in the header"
        for _, row in numbered
    ]
    padded = [row if len(row) == width else (row + [""] * width)[:width] for _, row in numbered]
    columns = zip(*padded, strict=True) if padded else [()] * width
    texts = [(name, _texts(column)) for name, column in zip(header, columns, strict=True)]
    texts = [(name, column) for name, column in texts if name or column.notna().any()]
    names = [name for name, _ in texts]
    repeated = sorted({name or "''" for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"{path}: two columns are named {', '.join(repeated)}. Remove or rename one of the two")
    return Table(path, dict(texts), [line for line, _ in numbered], pd.Series(faults, dtype="str"))


def _delimiter(path: Path, text: str) -> str:
    """Return the delimiter that is most frequent in the header; if two are, the one that the suffix says."""
    header = QUOTED.sub("", LINE_END.split(text, maxsplit=1)[0])
    tab = {".tsv", ".tab"} & {suffix.lower() for suffix in path.suffixes}
    return max("\t,;|" if tab else ",;\t|", key=header.count)


def _read_parquet(path: Path) -> pd.DataFrame:
    """Read a Parquet file with its types; the index counts rows from 1."""
    try:
        frame = read_parquet(path)
    except FileNotFoundError as error:
        raise _no_such_table(path) from error
    except OSError as error:
        raise InputError(f"{path}: the table cannot be read: {error.strerror}") from error
    return frame.set_axis(range(1, len(frame) + 1)).rename(columns=str)


def _no_such_table(path: Path) -> InputError:
    return InputError(f"{path}: no such table. Correct its path in the configuration or fetch it")


def _texts(cells: Iterable[object]) -> pd.Series:
    return pd.Series([None if cell in MISSING else cell for cell in map(plain, cells)], dtype="str")
