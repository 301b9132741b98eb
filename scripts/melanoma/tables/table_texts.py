"""The text of a table file: of any encoding that is certain, compressed or not. Another file is named by what it is."""

import gzip
import re
import zlib
from pathlib import Path

from melanoma.common.errors import InputError
from melanoma.common.files import read_intact

SAVE = "Open it in its program and save it as CSV in UTF-8"
GZIP = b"\x1f\x8b"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
LINE_END = re.compile(r"\r\n?|\n")
OTHER_FILES = {
    b"PK\3\4": ("an Excel or OpenDocument workbook, or another zip", SAVE),
    b"\xd0\xcf\x11\xe0": ("an Excel workbook (.xls)", SAVE),
    b"PAR1": ("a Parquet table", "Name it .parquet"),
    b"SQLite format 3": ("a SQLite database", "Export the table as CSV in UTF-8"),
    b"%PDF": ("a PDF", "Give the table as CSV in UTF-8"),
    b"version https://git-lfs": ("a Git LFS pointer", "Run `git lfs pull`, which replaces it by the table"),
    b"<!doctype": ("a web page", "Download the table itself"),
    b"<html": ("a web page", "Download the table itself"),
}


def read_text(path: Path) -> str:
    """Return the text of a table: UTF-8, or UTF-16 with its mark, also compressed by gzip.

    Raises OSError if the file cannot be read, and InputError that says what it is if it is no text of such an encoding.
    """
    data = read_intact(path)
    if data.startswith(GZIP):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{path}: a damaged gzip file: {error}. Fetch it again") from error
    for start, (name, remedy) in OTHER_FILES.items():
        if data[: len(start)].lower() == start.lower():
            raise InputError(f"{path}: {name}, expected a CSV table. {remedy}")
    encoding = "utf-16" if data.startswith(UTF_16) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(_wrong_encoding(path, data, encoding, error.start)) from error
    if "\0" in text:
        where, shown = _line(text, text.index("\0"))
        raise InputError(f"{path}: line {where} has a NUL character: {shown!r}. Correct it, or write the table again")
    return text


def _wrong_encoding(path: Path, data: bytes, encoding: str, position: int) -> str:
    if encoding == "utf-16":
        return f"{path}: damaged UTF-16 at byte {position}. {SAVE}"
    where, shown = _line(data.decode("latin-1"), position)
    return (
        f"{path}: line {where} is not UTF-8. In Latin-1, the encoding of Windows, it reads {shown!r}. If this is right,"
        " save the table as CSV in UTF-8"
    )


def _line(text: str, position: int) -> tuple[int, str]:
    """Return the number of the line at a position, from 1, and its first 60 characters."""
    before = LINE_END.split(text[:position])
    return len(before), (before[-1] + LINE_END.split(text[position:], maxsplit=1)[0])[:60]
