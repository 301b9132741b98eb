"""The file of each image is certain, or the message says which files there are and how their names differ."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from melanoma.common.errors import InputError
from melanoma.config.data import Data
from melanoma.data.catalog import build_catalog
from melanoma.sources.image_files import list_images

COLUMNS = {"image": "image", "target": "target"}


def build(
    folder: Path, names: Sequence[str], files: Sequence[str], images: Sequence[str] = ("jpeg",)
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write empty image files and a table with the names of images, and build the catalog."""
    for file in files:
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).touch()
    rows = [f"{name},{number % 2}" for number, name in enumerate(names)]
    (folder / "t.csv").write_text("\n".join(["image,target", *rows]))
    source = {"name": "s", "layout": "columns", "columns": COLUMNS, "table": str(folder / "t.csv")}
    return build_catalog(Data(sources=[source | {"images": [str(folder / name) for name in images]}]))


def refusal(folder: Path, names: Sequence[str], files: Sequence[str], images: Sequence[str] = ("jpeg",)) -> str:
    with pytest.raises(InputError) as caught:
        build(folder, names, files, images)
    return str(caught.value)


@pytest.mark.parametrize("suffix", ["jpg", "JPG", "Jpeg", "png", "webp", "tif", "TIFF", "bmp", "dcm"])
def test_an_image_is_found_by_its_suffix_in_any_case(tmp_path: Path, suffix: str) -> None:
    for name in (f"a.{suffix}", "a.txt", f"._a.{suffix}", f"._b.{suffix}"):
        (tmp_path / name).touch()
    assert list_images(tmp_path) == {"a": [f"{tmp_path}/a.{suffix}"]}


@pytest.mark.parametrize("suffix", [".JPG", ".webp", ".tif", ".dcm"])
def test_a_suffix_in_the_table_is_no_part_of_the_name(tmp_path: Path, suffix: str) -> None:
    catalog, _ = build(tmp_path, [f"a{suffix}", "b"], ["jpeg/a.png", "jpeg/b.tif"])
    assert catalog["image"].tolist() == ["a", "b"]
    assert [Path(file).name for file in catalog["file"]] == ["a.png", "b.tif"]


@pytest.mark.parametrize(
    ("files", "images"),
    [
        (["jpeg/a.jpg", "jpeg/a.png"], ["jpeg"]),
        (["jpeg/a.jpg", "jpeg/a.JPG"], ["jpeg"]),
        (["one/a.jpg", "two/a.jpg"], ["one", "two"]),
        (["jpeg/a.jpg", "jpeg/a.tif"], ["jpeg"]),
    ],
)
def test_two_files_of_one_name_are_both_named(tmp_path: Path, files: list[str], images: list[str]) -> None:
    text = refusal(tmp_path, ["a", "b"], [*files, f"{images[0]}/b.jpg"], images)
    assert "has several files" in text and "remove or rename all but one" in text
    assert all(str(tmp_path / file) in text for file in files)


def test_two_files_that_no_row_names_stop_nothing_and_are_counted(tmp_path: Path) -> None:
    _, issues = build(tmp_path, ["a", "b"], ["jpeg/a.jpg", "jpeg/b.jpg", "jpeg/c.jpg", "jpeg/c.png", "jpeg/._a.jpg"])
    (problem,) = issues.loc[issues["problem"].str.contains("no row names"), "problem"]
    assert problem == f"2 image file(s) that no row names, such as {tmp_path}/jpeg/c.jpg"


@pytest.mark.parametrize(
    ("name", "file", "difference"),
    [
        ("img_0", "IMG_0.jpg", "'img_0' in the table, 'IMG_0.jpg' in the folder: upper and lower case differ"),
        ("IMG_7", "IMG_0007.jpg", "'IMG_7' in the table, 'IMG_0007.jpg' in the folder: zeros, blanks or signs differ"),
        ("IMG 7", "IMG-7.jpg", "zeros, blanks or signs differ"),
        ("IMG\u2167", "IMGVIII.jpg", "they look alike and have different characters"),
    ],
)
def test_a_near_name_is_a_question_that_shows_the_difference(
    tmp_path: Path, name: str, file: str, difference: str
) -> None:
    text = refusal(tmp_path, [name, "b"], [f"jpeg/{file}", "jpeg/b.jpg"])
    assert "no such image file in" in text and difference in text


def test_a_letter_is_the_same_composed_and_decomposed(tmp_path: Path) -> None:
    """macOS writes the names of files decomposed, most tables are composed."""
    names = [unicodedata.normalize("NFC", "Mühle"), unicodedata.normalize("NFD", "Läsion")]
    files = [f"jpeg/{unicodedata.normalize(form, name)}.jpg" for name, form in zip(names, ["NFD", "NFC"], strict=True)]
    catalog, _ = build(tmp_path, names, files)
    assert [Path(file).name for file in catalog["file"]] == [Path(file).name for file in files]
