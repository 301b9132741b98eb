"""Doubts name what cannot be true of one patient, lesion or image; clean cohorts raise none."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from effort import drawn
from melanoma.config.data import Data, Generate
from melanoma.data.catalog import build_catalog
from melanoma.data.doubts import identical
from melanoma.demo.cohort import kaggle_table, make_cohort
from real_data import real_data

COLUMNS = {"image": "image", "patient": "patient", "lesion": "lesion", "sex": "sex", "age": "age", "target": "target"}
ROW = {"lesion": None, "sex": None, "age": None, "target": 0}


def source(folder: Path, rows: list[dict[str, Any]], name: str = "a", **more: Any) -> dict[str, Any]:
    table = pd.DataFrame([ROW | {"image": f"{name}{number}"} | row for number, row in enumerate(rows)])
    table.to_csv(folder / f"{name}.csv", index=False)
    given = {"name": name, "layout": "columns", "columns": COLUMNS, "table": f"{folder}/{name}.csv", "images": None}
    return given | {"ids": "global", "role": "extra_train"} | more


def doubts(*sources: dict[str, Any]) -> list[tuple[str, str]]:
    study = {"name": "study", "layout": "columns", "columns": {"image": "image", "target": "target"}, "images": None}
    path = Path(sources[0]["table"]).with_name("study.csv")
    path.write_text("image,target\nIMAGE_X,0\nIMAGE_Y,1\n")
    if all(each["role"] == "extra_train" for each in sources):
        sources = (*sources, study | {"table": str(path), "images": sources[0]["images"]})
    _, issues = build_catalog(Data(sources=sources))
    others = issues["problem"].str.contains("without a patient|no such column")
    issues = issues[(issues["action"] == "warning") & ~others]
    return list(issues[["source", "problem"]].itertuples(index=False, name=None))


@pytest.mark.parametrize(
    ("one", "other", "problem"),
    [
        ({"sex": "male"}, {"sex": "female"}, "1 patient(s) with more than one sex, such as p"),
        ({"age": 20}, {"age": 55}, "1 patient(s) whose ages are more than 30 years apart, such as p"),
        (
            {"lesion": "L", "target": 0},
            {"lesion": "L", "target": 1},
            "1 lesion(s) with more than one target, such as L",
        ),
        ({"lesion": "L"}, {"lesion": "L", "patient": "q"}, "1 lesion(s) with more than one patient, such as L"),
    ],
)
def test_a_doubt_is_found_within_a_source_and_between_sources(
    tmp_path: Path, one: dict[str, Any], other: dict[str, Any], problem: str
) -> None:
    rows = [{"patient": "p"} | one, {"patient": "p"} | other]
    assert doubts(source(tmp_path, rows)) == [("a", problem)]
    assert doubts(source(tmp_path, rows[:1]), source(tmp_path, rows[1:], "b")) == [("a, b", problem)]
    own = [source(tmp_path, rows[:1], ids="source"), source(tmp_path, rows[1:], "b", ids="source")]
    assert doubts(*own) == []


def test_a_lesion_that_stands_in_for_a_patient_is_no_second_patient(tmp_path: Path) -> None:
    path = tmp_path / "isic.csv"
    path.write_text("isic_id,patient_id,lesion_id,target\na,,L,0\nb,P,L,0\n")
    given = {"name": "isic", "layout": "isic", "table": str(path), "images": None, "role": "extra_train"}
    assert doubts(given) == []


def test_one_file_under_two_names_is_found_by_its_content(tmp_path: Path) -> None:
    contents = {"a0": b"x" * 9000, "a1": b"x" * 9000, "a2": b"y" + b"x" * 8999, "a3": b"z" * 50, "a4": b"z" * 50}
    contents |= {"IMAGE_X": b"1", "IMAGE_Y": b"12", "a5": b"", "a6": b""}
    for name, content in contents.items():
        (tmp_path / f"{name}.jpg").write_bytes(content)
    rows = [{"patient": f"p{number}", "target": int(number == 4)} for number in range(7)]
    assert doubts(source(tmp_path, rows, images=str(tmp_path))) == [
        ("a", "2 image(s) that are the same file as another one, such as a0, a1"),
        ("a", "2 image(s) that are the same file as another one, with another target, such as a3, a4"),
    ]


def test_a_file_that_is_not_there_is_like_no_other(tmp_path: Path) -> None:
    files = pd.Series([f"{tmp_path}/no", None, f"{tmp_path}/neither"], index=[3, 5, 7], dtype="str")
    assert identical(files).isna().all() and identical(files).index.tolist() == [3, 5, 7]


FORMATS = (
    lambda number, _: str(number),
    lambda number, _: f"{number:04d}",
    lambda number, _: f"P{number}",
    lambda number, _: f"IP_{number * 7919 % 10**7:07d}",
    lambda number, _: f"{number % 7}-{number}",
    lambda number, random: f"{number:02x}{random.integers(16**6):06x}",
    lambda number, random: f"{random.integers(100, 999)}-{number:03d}-{random.integers(1000, 9999)}",
    lambda number, _: f"Müller {number}",
)


@pytest.mark.many_cases
def test_no_clean_cohort_is_accused(tmp_path: Path) -> None:
    sources = []
    for number in range(drawn(40, 200)):
        random = np.random.default_rng(number)
        id_format = FORMATS[number % len(FORMATS)]
        rows = []
        for patient in range(1, 13):
            fixed = {"patient": id_format(patient, random), "sex": random.choice(["male", "female"])}
            age = random.integers(5, 60)
            for lesion in range(random.integers(1, 4)):
                place = {"lesion": f"{fixed['patient']}.{lesion}", "target": len(rows) % 2}
                rows += [fixed | place | {"age": age + random.integers(0, 20)} for _ in range(random.integers(1, 3))]
        sources.append(source(tmp_path, rows, f"c{number}_", ids="source", role="study"))
    assert doubts(*sources) == []


@pytest.mark.parametrize("seed", range(5))
def test_the_demo_cohort_is_not_accused(tmp_path: Path, seed: int) -> None:
    kaggle_table(make_cohort(Generate(images=500, seed=seed))).to_csv(tmp_path / "demo.csv", index=False)
    assert doubts({"name": "demo", "table": f"{tmp_path}/demo.csv", "images": None, "role": "study"}) == []


@pytest.mark.real_data
@pytest.mark.parametrize("table", ["train.csv", "ISIC_2020_Training_GroundTruth_v2.csv"])
def test_the_official_tables_are_not_accused(table: str) -> None:
    path = real_data("isic2020-tables") / table
    given = {"name": "isic2020", "table": str(path), "images": None}
    catalog, issues = build_catalog(Data(sources=[given]))
    assert (len(catalog), catalog["target"].sum(), catalog["patient"].nunique()) == (33126, 584, 2056)
    assert not issues["problem"].str.contains("more than").any()
