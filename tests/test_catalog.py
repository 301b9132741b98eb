"""The catalog: one canonical, checked table from the tables of all sources."""

import math
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from melanoma.catalog import SCHEMA, build_catalog, list_images
from melanoma.errors import InputError
from melanoma.files import write_parquet
from real_data import real_data

HEADER = "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,benign_malignant,target"
ROWS = [
    "ISIC_1,IP_1,male,45.0,head/neck,nevus,benign,0",
    "ISIC_2,IP_1,,,,unknown,benign,0",
    "ISIC_3,IP_2,female,90.0,torso,melanoma,malignant,1",
]


def source(folder: Path, rows: list[str] = ROWS, header: str = HEADER, name: str = "a") -> dict[str, Any]:
    """Write a source: its table, and an empty stub for each image, since the catalog opens none."""
    images = folder / name
    images.mkdir(parents=True)
    for row in rows:
        (images / f"{row.split(',')[0]}.jpg").touch()
    table = folder / f"{name}.csv"
    table.write_text("\n".join([header, *rows]) + "\n")
    return {"name": name, "layout": "kaggle", "table": str(table), "images": str(images)}


def build(*sources: dict[str, Any], on_bad_row: str = "fail") -> tuple[pd.DataFrame, pd.DataFrame]:
    return build_catalog({"sources": list(sources), "on_bad_row": on_bad_row})


def test_a_kaggle_table_becomes_the_canonical_one(tmp_path: Path) -> None:
    catalog, problems = build(source(tmp_path))
    assert list(catalog.columns) == list(SCHEMA.columns)
    assert catalog["image"].tolist() == ["ISIC_1", "ISIC_2", "ISIC_3"]
    assert catalog["target"].tolist() == [0, 0, 1]
    assert catalog["target"].dtype == "int8" and catalog["age"].dtype == "float64"
    first = catalog.iloc[0]
    assert (first["patient"], first["sex"], first["age"], first["site"]) == (
        "IP_1",
        "male",
        45.0,
        "head/neck",
    )
    assert Path(first["file"]) == tmp_path / "a" / "ISIC_1.jpg"
    assert problems.empty and "problem" in problems.columns


def test_missing_values_stay_missing(tmp_path: Path) -> None:
    catalog, _ = build(source(tmp_path))
    second = catalog.iloc[1]
    assert pd.isna(second["sex"]) and pd.isna(second["site"]) and math.isnan(second["age"])
    assert catalog["lesion"].isna().all()


def test_types_survive_the_file(tmp_path: Path) -> None:
    catalog, _ = build(source(tmp_path))
    write_parquet(tmp_path / "catalog.parquet", catalog)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "catalog.parquet"), catalog)


def test_lesion_is_read_where_the_table_has_it_and_diagnosis_may_lack(tmp_path: Path) -> None:
    header = "image_name,patient_id,lesion_id,sex,age_approx,anatom_site_general_challenge,target"
    catalog, _ = build(source(tmp_path, ["a,p,L1,male,50,torso,0", "b,p,,male,50,torso,1"], header))
    assert catalog["lesion"].iloc[0] == "L1" and pd.isna(catalog["lesion"].iloc[1])
    assert catalog["diagnosis"].isna().all()


def test_sources_are_joined_in_order_and_named(tmp_path: Path) -> None:
    other = [row.replace("ISIC_", "HAM_") for row in ROWS]
    catalog, _ = build(source(tmp_path, name="a"), source(tmp_path, other, name="b"))
    assert catalog["source"].tolist() == ["a"] * 3 + ["b"] * 3


def test_an_image_of_two_sources_is_found(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"b\.csv: image_name: .* earlier row .*\n.*line 2, image ISIC_1"):
        build(source(tmp_path, name="a"), source(tmp_path, name="b"))


@pytest.mark.parametrize("suffix", [".jpg", ".JPG", ".jpeg", ".JPEG"])
def test_any_case_of_the_suffix_is_found(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"ISIC_1{suffix}").touch()
    (tmp_path / "ISIC_2.txt").touch()
    assert list_images(tmp_path) == {"ISIC_1": f"{tmp_path}/ISIC_1{suffix}"}


def test_a_byte_order_mark_and_blank_lines_do_no_harm(tmp_path: Path) -> None:
    given = source(tmp_path)
    table = Path(given["table"])
    table.write_text("\ufeff" + table.read_text().replace("\n", "\n\n"), encoding="utf-8")
    assert len(build(given)[0]) == 3


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    given = source(tmp_path)
    Path(given["table"]).write_text("\n".join([HEADER, "", *ROWS, "", "ISIC_1,IP_1,x,1,,,,0"]))
    with pytest.raises(InputError) as caught:
        build(given)
    assert "line 7, image ISIC_1: 'x'" in str(caught.value)


@pytest.mark.real_data
def test_the_official_table_of_33126_rows_takes_seconds(tmp_path: Path) -> None:
    table = real_data("isic2020-tables/train.csv")
    for name in pd.read_csv(table)["image_name"]:
        (tmp_path / f"{name}.jpg").touch()
    start = time.perf_counter()
    catalog, problems = build({"name": "isic2020", "layout": "kaggle", "table": str(table), "images": str(tmp_path)})
    assert time.perf_counter() - start < 10
    assert len(catalog) == 33126 and problems.empty
    assert catalog["target"].sum() == 584 and catalog["patient"].nunique() == 2056
    assert catalog[["sex", "age", "site"]].isna().sum().tolist() == [65, 68, 527]
