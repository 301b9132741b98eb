"""Images are found in files and folders, and the table's rows find their images."""

import numpy as np
import pytest

from melanoma.classify.inputs import find_images, with_metadata
from melanoma.common.errors import InputError


@pytest.fixture
def folder(tmp_path):
    for name in ("b.jpg", "sub/a.PNG", "sub/deep/c.jpeg", "notes.txt", "._b.jpg"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "images"


def table(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text)
    return path


def test_a_folder_gives_its_images_with_those_of_subfolders_and_nothing_else(folder):
    assert find_images([folder])["image"].tolist() == ["b", "a", "c"]
    assert find_images([folder / "sub", folder / "b.jpg"])["image"].tolist() == ["a", "c", "b"]


def test_missing_paths_empty_folders_and_equal_names_are_said(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "b.jpeg").touch()
    for paths, message in [
        ([tmp_path / "none"], "none: no such file or folder"),
        ([tmp_path / "empty"], "empty: no image in this folder"),
        ([folder, tmp_path / "b.jpeg"], "Two files have the same name(.|\n)*b.jpeg"),
    ]:
        with pytest.raises(InputError, match=message):
            find_images(paths)


def test_a_table_is_joined_by_name_and_its_words_are_understood(folder, tmp_path):
    path = table(tmp_path, "image,patient,sex,age,site,note\na.png,P1,Female,50,trunk,x\nb,P2,male,,,\nother,P3,,1,,\n")
    joined = with_metadata(find_images([folder]), path).set_index("image")
    assert joined.loc["a", ["patient", "sex", "age", "site"]].tolist() == ["P1", "female", 50.0, "torso"]
    assert joined.loc["b", "sex"] == "male" and np.isnan(joined.loc["b", "age"])
    assert joined.loc["c", ["patient", "sex", "age", "site"]].isna().all()
    assert "other" not in joined.index


def test_the_columns_may_have_the_names_of_kaggle_and_images_without_a_row_are_counted(folder, tmp_path, caplog):
    header = "image_name,patient_id,age_approx,anatom_site_general_challenge"
    joined = with_metadata(find_images([folder]), table(tmp_path, f"{header}\na,P1,50,torso\n")).set_index("image")
    assert joined.loc["a", ["patient", "age", "site"]].tolist() == ["P1", 50.0, "torso"]
    assert "table.csv: 2 of 3 images have no row, such as b" in caplog.text


def test_without_a_table_all_metadata_is_missing(folder):
    joined = with_metadata(find_images([folder]), None)
    assert joined[["patient", "age", "sex", "site"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,age\na,5\n", "no column image. Its columns are file, age"),
        ("image,age\na,5\na.png,6\n", "images in several rows"),
        ("image,age\na,old\n", "age: expected years from 0 to 120 or nothing, found"),
        ("image,age\na,-3\n", "age: expected years from 0 to 120"),
        ("image,sex\na,dog\n", "sex: not in the vocabulary"),
        ("image,site\na,moon\n", "site: not in the vocabulary"),
        ("image,age\nx,5\n", "no row for any of the images, such as b"),
    ],
)
def test_a_table_that_is_not_understood_is_refused_with_its_name(folder, tmp_path, text, message):
    with pytest.raises(InputError, match=r"none.csv: no such table. Correct its path, or leave --table out"):
        with_metadata(find_images([folder]), tmp_path / "none.csv")
    with pytest.raises(InputError, match=f"table.csv: {message}"):
        with_metadata(find_images([folder]), table(tmp_path, text))
