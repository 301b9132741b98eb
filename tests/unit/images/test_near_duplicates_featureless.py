"""Images that show nothing link no patients, even where their files are identical."""

from pathlib import Path

import numpy as np
import pytest

from bad_images import jpeg, picture
from melanoma.images.near_duplicates import find
from melanoma.images.thumbnails import read_thumbnails
from pictures import encode


def pairs(folder: Path, data: bytes) -> list[tuple[str, str]]:
    """Return the near-duplicates among two copies of a file and a third file."""
    for name, content in (("a", data), ("b", data), ("c", jpeg(image=picture().rotate(90)))):
        (folder / f"{name}.jpg").write_bytes(content)
    found = find(list("abc"), read_thumbnails([folder / f"{name}.jpg" for name in "abc"], 10**6, 1), 1)
    return [*zip(found["image_a"], found["image_b"], strict=True)]


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((40, 60, 3)), np.full((40, 60, 3), 200), np.full((1, 1, 3), 120)],
    ids=["black", "one color", "one pixel"],
)
def test_two_copies_of_an_image_that_shows_nothing_are_no_pair(tmp_path: Path, pixels: np.ndarray) -> None:
    assert pairs(tmp_path, encode(pixels.astype(np.uint8))) == []


def test_two_copies_of_a_photograph_are_a_pair(tmp_path: Path) -> None:
    assert ("a", "b") in pairs(tmp_path, jpeg())
