"""The files of a source: those below its folders, the one of each image name, and folders that are classes."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from melanoma.common.errors import InputError
from melanoma.sources.image_files import class_folders, find_files, list_images


def files(folder: Path, *paths: str) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    return folder


def found(names: list[str], *images: str) -> list[str | None]:
    """Return the images of `names`, None for those without one."""
    files = find_files(pd.Series(names), {image: [f"/{image}"] for image in images}, "folder")
    assert (files["file"].isna() == files["file_fault"].notna()).all()
    return [None if pd.isna(path) else path.removeprefix("/") for path in files["file"]]


def test_images_in_subfolders_are_listed_by_their_path(tmp_path: Path) -> None:
    files(tmp_path, "a.jpg", "part_1/b.png", "part_1/deep/c.JPG", "part_1/notes.txt")
    assert list_images(tmp_path) == {
        "a": [f"{tmp_path}/a.jpg"],
        "part_1/b": [f"{tmp_path}/part_1/b.png"],
        "part_1/deep/c": [f"{tmp_path}/part_1/deep/c.JPG"],
    }


def test_the_datasets_of_an_hdf5_file_are_images(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "train-image.hdf5", "w") as file:
        file["ISIC_1"] = np.void(b"\xff\xd8\xff")
    assert list_images(tmp_path / "train-image.hdf5") == {"ISIC_1": [f"{tmp_path}/train-image.hdf5/ISIC_1"]}


@pytest.mark.parametrize("name", ["none.hdf5", "text.hdf5", "no_folder"])
def test_a_folder_or_hdf5_file_that_is_none_is_named_with_its_remedy(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.hdf5").write_text("no HDF5")
    with pytest.raises(InputError, match=rf"{name}: no .*(orrect its path|etch)"):
        list_images(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("b", "part_1/b"),
        ("part_1/b", "part_1/b"),
        ("jpeg/train/part_1/b", "part_1/b"),
        ("b_downsampled", "part_1/b"),
        ("other/b", None),
    ],
)
def test_a_name_fits_the_file_whose_path_ends_alike(name: str, image: str | None) -> None:
    assert found([name], "part_1/b", "part_1/c") == [image]


def test_the_file_of_exactly_the_name_counts_before_others() -> None:
    assert found(["a", "b"], "a", "thumbnails/a", "x/b", "x/b_downsampled") == ["a", "x/b"]


def test_no_file_is_guessed_where_two_fit_or_two_names_fit_one() -> None:
    assert found(["a"], "x/a", "y/a") == [None]
    assert found(["x/a", "y/a"], "a") == [None, None]
    assert found(["a", "y/a"], "a") == ["a", None]


def classes(folder: Path, *parts: str) -> tuple[list[str], list[str], list[str]]:
    listings = {f"{folder}/{part}".rstrip("/"): list_images(folder / part) for part in parts or ("",)}
    table, images = class_folders(listings)
    names = table.columns["image"].tolist()
    return names, table.columns["folder"].tolist(), [images[name][0].removeprefix(f"{folder}/") for name in names]


def test_the_first_subfolder_is_the_class(tmp_path: Path) -> None:
    files(tmp_path, "melanoma/m.jpg", "nevus/clinic_1/n.jpg")
    assert classes(tmp_path) == (["m", "n"], ["melanoma", "nevus"], ["melanoma/m.jpg", "nevus/clinic_1/n.jpg"])


def test_files_of_one_name_are_named_by_their_paths(tmp_path: Path) -> None:
    paths = ["train/melanoma/1.jpg", "train/nevus/1.jpg", "test/nevus/1.jpg"]
    files(tmp_path, *paths)
    names, folders, found_files = classes(tmp_path, "train", "test")
    assert names == ["train/melanoma/1", "train/nevus/1", "test/nevus/1"]
    assert folders == ["melanoma", "nevus", "nevus"] and found_files == paths


def test_train_and_test_are_no_classes(tmp_path: Path) -> None:
    files(tmp_path, "train/nevus/1.jpg", "test/nevus/2.jpg")
    with pytest.raises(InputError, match=r"test, train is no class.*images: \[.*/test, .*/train\]"):
        classes(tmp_path)


def test_folders_without_classes_are_refused(tmp_path: Path) -> None:
    files(tmp_path, "1.jpg")
    with pytest.raises(InputError, match="one subfolder for each class"):
        classes(tmp_path)
