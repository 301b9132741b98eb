"""The scripts from the catalog to the split report bad input with file, row, image and remedy, or leave it out."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

import build_catalog as catalog_script
import check_leakage as leakage_script
import find_near_duplicates as near_duplicates_script
import merge_shards as merge_script
import prepare_shard as images_script
import split_study as split_script
from in_process import call
from melanoma.common.errors import InputError
from melanoma.common.files import read_json, write_yaml
from melanoma.images.store import ImageStore

TABLE, JPEGS = Path("train.csv"), Path("jpeg")
COLUMNS = ["image_name", "patient_id", "sex", "age_approx", "anatom_site_general_challenge", "diagnosis"]
COLUMNS += ["benign_malignant", "target"]
IMAGES = 24


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """Write a small study into a current folder: 12 patients with 2 images, every third with melanomas."""
    monkeypatch.chdir(tmp_path)
    JPEGS.mkdir()
    random = np.random.default_rng(0)
    table = []
    for number in range(IMAGES):
        melanoma = number // 2 % 3 == 0
        words = ("melanoma", "malignant", "1") if melanoma else ("nevus", "benign", "0")
        table.append([f"ISIC_{number:02d}", f"IP_{number // 2}", "male", "50", "torso", *words])
        pixels = random.integers(0, 256, (40, 60, 3), np.uint8)
        jpeg(number).write_bytes(cv2.imencode(".jpg", pixels)[1].tobytes())
    return pd.DataFrame(table, columns=COLUMNS)


def jpeg(number: int) -> Path:
    return JPEGS / f"ISIC_{number:02d}.jpg"


def run(script: ModuleType, command: str) -> None:
    """Run the main function of a script with a command line."""
    call(script, *command.split())


def build_catalog(rows: pd.DataFrame | None, policy: str = "fail") -> list[str]:
    """Write the table, build its catalog by the script and return the names of its images."""
    if rows is not None:
        rows.to_csv(TABLE, index=False)
    source = {"name": "isic", "layout": "kaggle", "table": str(TABLE), "images": str(JPEGS)}
    write_yaml("catalog.yaml", {"on_bad_row": policy, "sources": [source]})
    run(catalog_script, "--settings catalog.yaml --output catalog.parquet --issues issues.csv")
    return pd.read_parquet("catalog.parquet")["image"].tolist()


def prepare_images(policy: str = "fail") -> pd.DataFrame:
    """Prepare the images of the catalog by the scripts and return the quality table."""
    settings = {"size": 16, "fit": "center_crop", "shards": 2, "on_unreadable": policy}
    write_yaml("images.yaml", settings)
    for shard in (0, 1):
        run(
            images_script,
            f"--settings images.yaml --catalog catalog.parquet --shard {shard} --shards 2 --output {shard}.h5"
            f" --quality {shard}.parquet --processes 2",
        )
    run(
        merge_script,
        "--shards 0.h5 1.h5 --qualities 0.parquet 1.parquet --output images.h5 --quality quality.parquet"
        " --shard-count shard_count",
    )
    return pd.read_parquet("quality.parquet")


def split_images(**changes: Any) -> None:
    """Find near-duplicates, split and check for leaks by the scripts."""
    settings = {"method": "grouped", "test_fraction": 0.3, "folds": 2, "seed": 1, "group_by": ["patient", "lesion"]}
    settings |= {"stratify": ["target"], "duplicates": None, "predefined": None, "allow_leaks": False}
    write_yaml("split.yaml", settings | changes)
    run(near_duplicates_script, "--catalog catalog.parquet --output near.csv")
    run(
        split_script,
        "--settings split.yaml --catalog catalog.parquet --quality quality.parquet --near-duplicates near.csv"
        " --split split.parquet --train train.parquet --test test.parquet --test-labels test_labels.parquet"
        " --left-out left_out.csv --pairs pairs.csv",
    )
    run(
        leakage_script,
        "--settings split.yaml --train train.parquet --test test.parquet"
        " --quality quality.parquet --near-duplicates near.csv --left-out left_out.csv --output leakage.json",
    )


def message(action: Callable[..., Any], *args: Any, **options: Any) -> str:
    """Return the message of the InputError that an action must raise."""
    with pytest.raises(InputError) as caught:
        action(*args, **options)
    return str(caught.value)


def requires(text: str, *parts: object) -> None:
    for part in parts:
        assert str(part) in text, f"{part!r} is not in:\n{text}"


def test_a_dropped_row_is_listed_with_its_place(rows: pd.DataFrame) -> None:
    rows.loc[5, "age_approx"] = "500"
    assert "ISIC_05" not in build_catalog(rows, "drop")
    (issue,) = pd.read_csv("issues.csv", dtype="str").to_dict("records")
    assert issue.pop("problem") == "expected years from 0 to 120; correct it or leave it empty"
    assert list(issue.values()) == ["isic", str(TABLE), "7", "ISIC_05", "age_approx", "500", "dropped"]


def test_an_image_in_the_table_without_a_file_is_named_with_the_folder(rows: pd.DataFrame) -> None:
    jpeg(3).unlink()
    jpeg(8).unlink()
    text = message(build_catalog, rows)
    requires(text, TABLE, JPEGS, "(2 rows)", "line 5, image ISIC_03", "line 10, image ISIC_08")
    requires(text, "fetch the images, correct the folder, or remove the rows")
    assert len(build_catalog(rows, "drop")) == IMAGES - 2


def test_one_image_with_two_labels_is_named_and_neither_row_kept(rows: pd.DataFrame) -> None:
    twice = pd.concat([rows, rows.iloc[[0]].assign(target=str(1 - int(rows.loc[0, "target"])), benign_malignant=None)])
    twice["diagnosis"] = None
    requires(message(build_catalog, twice), rows.loc[0, "image_name"], "in several rows with different targets")
    build_catalog(twice, "drop")
    assert rows.loc[0, "image_name"] not in pd.read_parquet("catalog.parquet")["image"].tolist()


def test_all_findings_are_reported_at_once(rows: pd.DataFrame) -> None:
    rows.loc[1, "age_approx"] = "500"
    rows.loc[2, "sex"] = "f"
    rows.loc[7, "target"] = "9"
    jpeg(9).unlink()
    text = message(build_catalog, rows)
    requires(text, "4 rows cannot be used", "line 3, ", "line 4, ", "line 9, ", "line 11, ")


def test_a_missing_table_and_a_missing_folder_are_both_named(rows: pd.DataFrame) -> None:
    JPEGS.rename("elsewhere")
    text = message(build_catalog, None)
    requires(text, f"{TABLE}: no such table", f"{JPEGS}: no such folder", "Correct its path in the configuration")


BAD_FILES = {
    "unreadable": (b"\xff\xd8\xff\xd9", "cannot be decoded"),
    "truncated": (None, "truncated: no end-of-image marker"),
    "empty": (b"", "empty file"),
    "not a JPEG": (b"<html>404</html>", "a web page, which is not read; download the image again"),
}


@pytest.mark.parametrize("fault", BAD_FILES)
def test_a_bad_image_file_stops_the_shard_with_file_image_reason_and_remedy(rows: pd.DataFrame, fault: str) -> None:
    build_catalog(rows)
    content, reason = BAD_FILES[fault]
    for number in (3, 5):
        jpeg(number).write_bytes(jpeg(number).read_bytes()[:-100] if content is None else content)
    text = message(prepare_images)
    requires(text, "2 of 12 image files", "on_unreadable: drop")
    requires(text, f"{jpeg(3)}: image ISIC_03: {reason}", f"{jpeg(5)}: image ISIC_05: {reason}")
    assert not Path("0.h5").exists() and not Path("0.parquet").exists()


@pytest.mark.parametrize("fault", BAD_FILES)
def test_a_bad_image_file_is_left_out_of_everything_where_the_policy_is_drop(rows: pd.DataFrame, fault: str) -> None:
    build_catalog(rows)
    content, reason = BAD_FILES[fault]
    jpeg(3).write_bytes(jpeg(3).read_bytes()[:-100] if content is None else content)
    quality = prepare_images("drop").set_index("image")
    assert not quality.loc["ISIC_03", "readable"] and quality.loc["ISIC_03", "problem"].startswith(reason)
    assert quality["readable"].sum() == IMAGES - 1
    split_images()
    divided = pd.concat([pd.read_parquet("train.parquet"), pd.read_parquet("test.parquet")])
    assert len(divided) == IMAGES - 1 and "ISIC_03" not in set(divided["image"])
    names = ImageStore("images.h5").names
    assert [names[row] for row in divided["row"]] == divided["image"].tolist()


def test_a_class_that_a_fold_lacks_is_named_with_counts_and_remedy(rows: pd.DataFrame) -> None:
    build_catalog(rows)
    prepare_images()
    text = message(split_images, folds=6)
    requires(text, "fold 5: ", "no melanoma", "8, of 4 patient(s)", "6 folds", "Use fewer folds")
    assert not Path("train.parquet").exists()


def test_test_labels_leave_the_split_in_their_own_file_only(rows: pd.DataFrame) -> None:
    build_catalog(rows)
    prepare_images()
    split_images()
    columns = {name: set(pd.read_parquet(f"{name}.parquet").columns) for name in ("split", "test", "test_labels")}
    assert columns["split"] == {"image", "patient", "group", "part", "fold"}
    names = {"row", "image", "patient", "unit", "lesion", "sex", "age", "site", "width", "height", "source"}
    assert columns["test"] == names
    assert columns["test_labels"] == {"image", "target", "unit"}
    assert set(pd.read_parquet("train.parquet").columns) == columns["test"] | {"diagnosis", "target", "fold"}


def test_a_split_that_leaks_stops_after_its_report(rows: pd.DataFrame) -> None:
    build_catalog(rows)
    prepare_images()
    text = message(split_images, group_by=["lesion"])
    requires(text, "patient: ", "across train/test: images ISIC_", "split.group_by", "split.allow_leaks: true")
    assert read_json("leakage.json")["findings"]


def test_a_split_that_leaks_goes_on_where_that_is_allowed(rows: pd.DataFrame) -> None:
    build_catalog(rows)
    prepare_images()
    split_images(group_by=["lesion"], allow_leaks=True)
    assert read_json("leakage.json")["findings"]


def test_one_photograph_under_two_patients_is_kept_together(rows: pd.DataFrame) -> None:
    for number in range(IMAGES):
        random = np.random.default_rng(number)
        coarse = cv2.resize(random.integers(60, 200, (10, 15, 3)).astype(np.uint8), (60, 40))
        jpeg(number).write_bytes(cv2.imencode(".jpg", coarse)[1].tobytes())
    again = cv2.imencode(".jpg", cv2.imread(str(jpeg(3))), [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    jpeg(20).write_bytes(again.tobytes())
    jpeg(21).write_bytes(jpeg(10).read_bytes())
    build_catalog(rows)
    prepare_images()
    split_images()
    near = pd.read_csv("near.csv")[["image_a", "image_b"]].to_numpy().tolist()
    assert ["ISIC_03", "ISIC_20"] in near and ["ISIC_10", "ISIC_21"] in near
    group = pd.read_parquet("split.parquet").set_index("image")["group"]
    assert group["ISIC_03"] == group["ISIC_20"] and group["ISIC_10"] == group["ISIC_21"]


def test_a_split_in_file_order_needs_leaks_to_be_allowed(rows: pd.DataFrame) -> None:
    build_catalog(rows)
    prepare_images()
    text = message(split_images, method="sequential", test_fraction=0.2)
    requires(text, "patient: ", "split.method: grouped", "split.allow_leaks: true")
    split_images(method="sequential", test_fraction=0.2, allow_leaks=True)
    test = pd.read_parquet("test.parquet")["image"].tolist()
    assert test == [f"ISIC_{number:02d}" for number in range(19, IMAGES)]


def test_the_command_line_ends_with_the_message_and_no_traceback(rows: pd.DataFrame) -> None:
    rows.loc[5, "age_approx"] = "500"
    message(build_catalog, rows)
    script = Path(catalog_script.__file__)
    command = f"{script} --settings catalog.yaml --output c.parquet --issues p.csv --log catalog.log"
    result = subprocess.run([sys.executable, *command.split()], capture_output=True, text=True, check=False)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    for text in (result.stderr, Path("catalog.log").read_text()):
        requires(text, "ERROR", "line 7, image ISIC_05: '500'", "on_bad_row: drop")
