"""Each table that people really have is read, or refused by what it is, with the remedy."""

from pathlib import Path

import pandas as pd
import pytest

from cases import CASES, needs_cases
from melanoma.common.errors import InputError
from melanoma.config.data import Data
from melanoma.data.catalog import build_catalog

READ = ("trailing_commas", "one_trailing_comma", "sep_line", "utf16", "mac_cr", "semicolon", "bom", "crlf", "allquoted")
REFUSED = {
    "t.xlsx": "an Excel or OpenDocument workbook",
    "xlsxcsv.csv": "save it as CSV in UTF-8",
    "latin1.csv": "line 2 is not UTF-8. In Latin-1, the encoding of Windows, it reads 'IMG_0000,P000,male,30,törso,1'",
    "nul.csv": "line 5 has a NUL character",
}


def build(name: str, images: Path | None = None) -> pd.DataFrame:
    assert CASES is not None
    source = {"name": "s", "layout": "kaggle", "table": str(CASES / "data" / "tab" / name)}
    return build_catalog(Data(sources=[source | {"images": images and str(images)}]))[0]


@needs_cases
@pytest.mark.parametrize("name", [*(f"{name}.csv" for name in READ), "t.csv.gz"])
def test_a_table_is_read_as_the_plain_one(name: str) -> None:
    plain = build("crlf.csv")
    assert len(plain) == 40 and plain["patient"].nunique() == 20
    pd.testing.assert_frame_equal(build(name), plain)


@needs_cases
@pytest.mark.parametrize("name", REFUSED)
def test_another_file_is_refused_by_what_it_is(name: str) -> None:
    with pytest.raises(InputError, match=REFUSED[name].replace("(", r"\(")):
        build(name)


@needs_cases
@pytest.mark.parametrize("name", ["names_jpg", "names_space", "names_tif", "crlf"])
@pytest.mark.parametrize("suffix", [".jpg", ".JPG", "_downsampled.jpg"])
def test_a_name_is_matched_where_that_is_certain(tmp_path: Path, name: str, suffix: str) -> None:
    for number in range(40):
        (tmp_path / f"IMG_{number:04d}{suffix}").touch()
    catalog = build(f"{name}.csv", tmp_path)
    assert [Path(file).name for file in catalog["file"]] == [f"IMG_{number:04d}{suffix}" for number in range(40)]


@needs_cases
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("names_lower", "'img_0000' in the table, 'IMG_0000.jpg' in the folder: upper and lower case differ"),
        ("names_int", "no such image file in"),
    ],
)
def test_another_name_is_a_question_or_missing(tmp_path: Path, name: str, says: str) -> None:
    for number in range(40):
        (tmp_path / f"IMG_{number:04d}.jpg").touch()
    with pytest.raises(InputError, match="40 rows cannot be used") as caught:
        build(f"{name}.csv", tmp_path)
    assert says in str(caught.value)
