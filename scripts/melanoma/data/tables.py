"""Tables read as texts, each the same whatever it is stored as, and each row with its number."""

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from melanoma.common.errors import InputError

MISSING = {"", "NA", "N/A", "NaN", "nan", "null", "None", "<NA>"}
WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]*))\.0")


@dataclass(frozen=True)
class Table:
    """A table as texts: its rows' numbers as an editor counts lines, or from 1 in a Parquet file."""

    path: Path
    columns: dict[str, pd.Series]
    rows: list[int]
    faults: pd.Series  # what is wrong with the length of a row, None where nothing is


def read_table(path: Path) -> Table:
    """Read a CSV, TSV or Parquet table; raise InputError that says why it is none."""
    table = _read_parquet(path) if path.suffix.lower() in (".parquet", ".pq") else _read_csv(path)
    if not table.rows:
        raise InputError(f"{path}: the table is empty: it has a header and no row. Give the complete table")
    return table


def plain(name: object) -> str:
    """Return the text of a name, 100 for 100.0 and for other whole numbers likewise; any other text as it is.

    Where one cell of a column is empty, pandas holds and writes the whole numbers of all others with a fraction: 100
    and 100.0 are one patient, and two images of that name are one.
    """
    text = f"{name:.1f}" if isinstance(name, float) and name.is_integer() else str(name)
    whole = WHOLE.fullmatch(text)
    return whole[1] if whole else text


def plain_texts(column: pd.Series) -> pd.Series:
    """Return a column of names, of whatever type, as plain texts; a missing one stays missing."""
    return column.map(plain, na_action="ignore").astype("str")


def _read_csv(path: Path) -> Table:
    """Read a table of texts without its blank lines."""
    delimiter = "\t" if path.suffix.lower() in (".tsv", ".tab") else ","
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True, delimiter=delimiter)
            header = [name.strip() for name in next(reader, [])]
            numbered = [(reader.line_num, row) for row in reader if any(row)]
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such table. Correct its path in the configuration or fetch it") from error
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
        raise InputError(f"{path}: column {', '.join(repeated)} is there twice. Remove one of the two")
    width = len(header)
    faults = [
        None if len(row) == width else f"{len(row)} fields, expected {width} as in the header" for _, row in numbered
    ]
    padded = [row if len(row) == width else (row + [""] * width)[:width] for _, row in numbered]
    columns = zip(*padded, strict=True) if padded else [()] * width
    texts = {name: _texts(column) for name, column in zip(header, columns, strict=True)}
    return Table(path, texts, [line for line, _ in numbered], pd.Series(faults, dtype="str"))


def _read_parquet(path: Path) -> Table:
    """Read a Parquet table as texts."""
    try:
        frame = pd.read_parquet(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such table. Correct its path in the configuration or fetch it") from error
    except (OSError, ValueError) as error:  # pyarrow's ArrowInvalid is a ValueError
        raise InputError(f"{path}: not a Parquet table ({error}). Write it again as Parquet") from error
    texts = {str(name): _texts(map(plain, column.array)) for name, column in frame.items()}
    return Table(path, texts, list(range(1, len(frame) + 1)), pd.Series([None] * len(frame), dtype="str"))


def _texts(cells: Iterable[str]) -> pd.Series:
    stripped = [cell.strip() for cell in cells]
    return pd.Series([None if cell in MISSING else plain(cell) for cell in stripped], dtype="str")
