"""The saved split of one study is the split of another."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from melanoma.common.errors import InputError
from melanoma.config.split import Split
from melanoma.split.assign import split_images
from melanoma.split.given import read_saved
from simulated_split import catalog, pairs_of

NO_PAIRS = pairs_of(catalog(2, 0), 0, 0)


def save(path: Path, **changes: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split a simulated cohort, write it as the workflow does, and return the cohort and its split."""
    images = catalog(60, 3)
    split = split_images(images, NO_PAIRS, Split(folds=3, **changes)).images
    split[["image", "patient", "group", "part", "fold"]].to_parquet(path)
    return images, split


def saved(path: Path, **changes: Any) -> Split:
    return Split(method="saved", file=str(path), folds=3, **changes)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_saved_split_gives_each_image_its_place_in_another_study(tmp_path: Path, form: str) -> None:
    images, split = save(tmp_path / "split.parquet", seed=7)
    if form == "csv":
        pd.read_parquet(tmp_path / "split.parquet").to_csv(tmp_path / "split.csv", index=False)
    fewer = images.sample(frac=0.9, random_state=0)
    again = split_images(fewer, NO_PAIRS, saved(tmp_path / f"split.{form}")).images
    expected = split.set_index("image").loc[again["image"], ["part", "fold"]]
    pd.testing.assert_frame_equal(again.set_index("image")[["part", "fold"]], expected)


def test_images_that_the_file_lacks_are_counted_with_the_cure_or_left_out(tmp_path: Path) -> None:
    images, _ = save(tmp_path / "split.parquet")
    new = images[images["role"] == "study"].iloc[:2].assign(image=["new_1", "new_2"], patient=["IP_n1", "IP_n2"])
    both = pd.concat([images, new], ignore_index=True)
    with pytest.raises(
        InputError, match=r"has no place for 2 of \d+ images of the study:\n  - new_1\n(.*\n)*.*leave_out"
    ):
        split_images(both, NO_PAIRS, saved(tmp_path / "split.parquet"))
    split = split_images(both, NO_PAIRS, saved(tmp_path / "split.parquet", unlisted="leave_out"))
    assert split.left_out[split.left_out["reason"] == "not in split.file"]["image"].tolist() == ["new_1", "new_2"]


def test_another_number_of_folds_is_refused(tmp_path: Path) -> None:
    images, _ = save(tmp_path / "split.parquet")
    with pytest.raises(InputError, match=r"has 3 folds, and split.folds is 4. Make them equal"):
        split_images(images, NO_PAIRS, saved(tmp_path / "split.parquet").model_copy(update={"folds": 4}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,part\na,test\n", "no column fold. Give split/split.parquet"),
        ("image,part,fold\na,test,-1\na,train,0\n", r"without one place of one image:\n  - line 2\n  - line 3"),
        (
            "image,part,fold\na,test,0\nb,train,x\nc,valid,0\nd,train,0\n",
            r"image:\n  - line 2\n  - line 3\n  - line 4\n",
        ),
    ],
)
def test_a_file_that_is_no_saved_split_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "split.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_saved(tmp_path / "split.csv")
