"""The reader of the CSV, TSV and Parquet tables that users give."""

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from melanoma.common.errors import InputError, listing
from melanoma.data.identifiers import plain

MISSING = {"", "NA", "N/A", "NaN", "nan", "null", "None", "<NA>"}


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


def read_table(path: Path) -> Table:
    """Read a table as texts; raise InputError if it cannot be read or has no row."""
    if _is_parquet(path):
        frame = _read_parquet(path)
        texts = {name: _texts(column.array) for name, column in frame.items()}
        table = Table(path, texts, frame.index.tolist(), pd.Series([None] * len(frame), dtype="str"))
    else:
        table = _read_csv(path)
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


def row_name(path: str | Path) -> str:
    """Return what the number of a row counts in a table at `path`: the row of a Parquet file, else the line."""
    return "row" if _is_parquet(Path(path)) else "line"


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in (".parquet", ".pq")


def _read_csv(path: Path) -> Table:
    """Read a text file without its blank lines."""
    delimiter = "\t" if path.suffix.lower() in (".tsv", ".tab") else ","
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True, delimiter=delimiter)
            header = [name.strip() for name in next(reader, [])]
            numbered = [(reader.line_num, row) for row in reader if any(row)]
    except FileNotFoundError as error:
        raise _no_such_table(path) from error
    except OSError as error:
        raise InputError(f"{path}: the table cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a CSV table in UTF-8 ({error}). Save it as CSV in UTF-8") from error
    except csv.Error as error:
        where = f"{path}: line {reader.line_num}"
        raise InputError(f"{where} is not valid CSV: {error}. Save the table as CSV") from error
    if not any(header):
        raise InputError(f"{path}: the table is empty. Give the complete table")
    if len(header) == 1 and re.search(r"[;\t|]", header[0]):
        raise InputError(f"{path}: one column {header[0]!r}. Columns must be separated by commas")
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise InputError(f"{path}: two columns are named {', '.join(repeated)}. Remove or rename one of the two")
    width = len(header)
    faults = [
        None if len(row) == width else f"{len(row)} fields, expected {width} as in the header" for _, row in numbered
    ]
    padded = [row if len(row) == width else (row + [""] * width)[:width] for _, row in numbered]
    columns = zip(*padded, strict=True) if padded else [()] * width
    texts = {name: _texts(column) for name, column in zip(header, columns, strict=True)}
    return Table(path, texts, [line for line, _ in numbered], pd.Series(faults, dtype="str"))


def _read_parquet(path: Path) -> pd.DataFrame:
    """Read a Parquet file with its types; the index counts rows from 1."""
    try:
        frame = pd.read_parquet(path)
    except FileNotFoundError as error:
        raise _no_such_table(path) from error
    except (OSError, ValueError) as error:  # pyarrow's ArrowInvalid is a ValueError
        raise InputError(f"{path}: not a Parquet table ({error}). Write it again as Parquet") from error
    return frame.set_axis(range(1, len(frame) + 1)).rename(columns=str)


def _no_such_table(path: Path) -> InputError:
    return InputError(f"{path}: no such table. Correct its path in the configuration or fetch it")


def _texts(cells: Iterable[object]) -> pd.Series:
    return pd.Series([None if cell in MISSING else cell for cell in map(plain, cells)], dtype="str")
