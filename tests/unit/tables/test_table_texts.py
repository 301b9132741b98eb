"""A table is the same in every form in which programs write it."""

import codecs
import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from melanoma.tables.tables import read_frame, read_table

TEXT = "image,patient,site,target\na,1,torso,0\nb,2,,1\nc,,Körper,0\n"
FORMS: dict[str, Callable[[str], bytes]] = {
    "UTF-8": str.encode,
    "UTF-8 with a byte order mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "UTF-16 of Excel": lambda text: codecs.BOM_UTF16_LE + text.replace(",", "\t").encode("utf-16-le"),
    "UTF-16, big-endian": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "gzip": lambda text: gzip.compress(text.encode()),
    "line ends of Windows": lambda text: text.replace("\n", "\r\n").encode(),
    "line ends of old Macs": lambda text: text.replace("\n", "\r").encode(),
    "semicolons": lambda text: text.replace(",", ";").encode(),
    "tabs": lambda text: text.replace(",", "\t").encode(),
    "bars": lambda text: text.replace(",", "|").encode(),
    "all columns empty after the last": lambda text: text.replace("\n", ",,,\n").encode(),
    "one empty column after the last": lambda text: text.replace("\n", ",\n").encode(),
    "empty columns after the names alone": lambda text: text.replace("\n", ",,\n", 1).encode(),
    "empty columns after the rows alone": lambda text: text.replace("0\n", "0,,\n").encode(),
    "an empty column before the first": lambda text: ("," + text.replace("\n", "\n,")).encode()[:-1],
}


@pytest.mark.parametrize("form", FORMS)
def test_a_table_is_the_same_in_every_form(tmp_path: Path, form: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(FORMS[form](TEXT))
    table = read_table(path)
    texts = {name: [None if cell != cell else cell for cell in column] for name, column in table.columns.items()}
    assert texts == {
        "image": ["a", "b", "c"],
        "patient": ["1", "2", None],
        "site": ["torso", None, "Körper"],
        "target": ["0", "1", "0"],
    }
    assert table.rows == [2, 3, 4] and table.faults.isna().all()
    assert read_frame(path)["image"].tolist() == ["a", "b", "c"]


@pytest.mark.parametrize(("line", "delimiter"), [("sep=,", ","), ("sep=;", ";"), ('"sep=\t"', "\t"), ("SEP=|", "|")])
def test_the_first_line_may_state_the_delimiter_and_counts_as_a_line(tmp_path: Path, line: str, delimiter: str) -> None:
    (tmp_path / "table.csv").write_text(line + "\r\n" + TEXT.replace(",", delimiter))
    table = read_table(tmp_path / "table.csv")
    assert list(table.columns) == ["image", "patient", "site", "target"] and table.rows == [3, 4, 5]


def test_the_suffix_decides_between_two_delimiters_that_are_as_frequent(tmp_path: Path) -> None:
    for name, columns in (("t.tsv", ["image", "site, or none"]), ("t.csv", ["image\tsite", "or none"])):
        (tmp_path / name).write_text("image\tsite, or none\na\tb, c\n")
        assert list(read_table(tmp_path / name).columns) == columns


def test_a_delimiter_within_quotes_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('"image; a name; or more",target\na,1\n')
    assert list(read_table(tmp_path / "t.csv").columns) == ["image; a name; or more", "target"]


def test_a_column_without_a_name_stays_where_it_has_cells(tmp_path: Path) -> None:
    """pandas writes its index so."""
    (tmp_path / "t.csv").write_text(",image,target\n0,a,1\n1,b,0\n")
    assert list(read_table(tmp_path / "t.csv").columns) == ["", "image", "target"]
