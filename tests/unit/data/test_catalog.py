"""Tables of all layouts become one checked catalog."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given as given_
from hypothesis import settings
from hypothesis import strategies as st

from melanoma.common.errors import InputError
from melanoma.common.files import write_parquet
from melanoma.config.data import Data
from melanoma.data.catalog import build_catalog
from melanoma.data.catalog_schema import SCHEMA, UNLABELED
from real_data import real_data

HEADER = "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,benign_malignant,target"
ROWS = [
    "ISIC_1,IP_1,male,45.0,head/neck,nevus,benign,0",
    "ISIC_2,IP_1,,,,unknown,benign,0",
    "ISIC_3,IP_2,female,90.0,torso,melanoma,malignant,1",
]


def source(folder: Path, rows: list[str] = ROWS, header: str = HEADER, name: str = "a") -> dict[str, Any]:
    """Write a source: its table, and an empty file for each image, since the catalog opens no image."""
    images = folder / name
    images.mkdir(parents=True)
    for row in rows:
        (images / f"{row.split(',')[0]}.jpg").touch()
    table = folder / f"{name}.csv"
    table.write_text("\n".join([header, *rows]) + "\n")
    return {"name": name, "layout": "kaggle", "table": str(table), "images": str(images)}


def build(*sources: dict[str, Any], on_bad_row: str = "fail") -> tuple[pd.DataFrame, pd.DataFrame]:
    return build_catalog(Data(sources=sources, on_bad_row=on_bad_row))


def test_a_source_of_role_predict_needs_no_labels_and_its_labels_are_not_read(tmp_path: Path) -> None:
    unlabeled = [row.rsplit(",", 3)[0].replace("ISIC_", "NEW_") for row in ROWS]
    new = source(tmp_path, unlabeled, HEADER.rsplit(",", 3)[0], "new") | {"role": "predict"}
    wrong = [row.replace("ISIC_", "OLD_").replace("nevus,benign,0", "?,malignant,7") for row in ROWS]
    old = source(tmp_path, wrong, name="old") | {"role": "predict"}
    catalog, _ = build(source(tmp_path), new, old)
    assert catalog["role"].tolist() == ["study"] * 3 + ["predict"] * 6
    assert catalog["target"].tolist() == [0, 0, 1] + [UNLABELED] * 6
    assert catalog["diagnosis"][3:].isna().all()
    assert catalog["age"][3:].fillna(-1).tolist() == [45, -1, 90] * 2


@pytest.mark.parametrize("layout", ["isic", "columns"])
def test_any_table_of_images_can_be_predicted(tmp_path: Path, layout: str) -> None:
    new = source(tmp_path, ["NEW_1,NV", "NEW_2,MEL"], "image,diagnosis", "new") | {"role": "predict", "layout": layout}
    columns = {"image": "image"} if layout == "columns" else None
    catalog, _ = build(source(tmp_path), new | {"columns": columns})
    assert catalog["target"].tolist()[3:] == [UNLABELED] * 2


def test_an_external_test_needs_labels_of_both_classes(tmp_path: Path) -> None:
    benign, study = [row.replace("ISIC_", "NEW_") for row in ROWS[:2]], source(tmp_path)
    with pytest.raises(InputError, match="source new: 0 melanomas among 2 usable images, expected both classes"):
        build(study, source(tmp_path, benign, name="new") | {"role": "test"})
    with pytest.raises(InputError, match="no column target"):
        header = HEADER.rsplit(",", 3)[0]
        rows = [row.rsplit(",", 3)[0] for row in benign]
        build(study, source(tmp_path, rows, header, "unlabeled") | {"role": "test"})


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
    with pytest.raises(InputError, match=r"b\.csv: image_name: .* in source a already.*\n.*line 2, image ISIC_1"):
        build(source(tmp_path, name="a"), source(tmp_path, name="b"))


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


def table(folder: Path, name: str, *lines: str) -> str:
    (folder / name).write_text("\n".join(lines))
    return str(folder / name)


def stubs(folder: Path, *names: str) -> str:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / f"{name}.jpg").touch()
    return str(folder)


def given(folder: Path, layout: str, *lines: str, images: str = "abcd", **more: Any) -> dict[str, Any]:
    """Write a source of any layout, with the name of the layout."""
    return {
        "name": layout,
        "layout": layout,
        "table": table(folder, f"{layout}.csv", *lines),
        "images": stubs(folder / layout, *images),
    } | more


def notes(problems: pd.DataFrame) -> list[tuple[str, str, str]]:
    return list(problems[["action", "column", "problem"]].itertuples(index=False, name=None))


def test_the_classes_of_2019_with_their_metadata(tmp_path: Path) -> None:
    metadata = table(
        tmp_path,
        "metadata.csv",
        "image,age_approx,anatom_site_general,lesion_id,sex",
        "b,50.0,posterior torso,L2,female",
        "a,55.0,head/neck,L1,male",
        "c,,,,",
        "z,10,torso,L9,male",
    )
    lines = ["a,1.0,0.0,0,0,0,0,0,0,0", "b,0,1,0,0,0,0,0,0,0", "c,0,0,0,0,0,0,0,1.0,0", "d,0,0,0,0,0,0,0,0,1"]
    source_ = given(tmp_path, "isic", "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK", *lines, metadata=metadata)
    catalog, problems = build(source_)
    assert catalog["diagnosis"].fillna("-").tolist() == ["melanoma", "nevus", "squamous cell carcinoma", "-"]
    assert catalog["target"].tolist() == [1, 0, 0, 0]
    assert catalog["patient"].tolist() == ["isic:L1", "isic:L2", "isic:c", "isic:d"]
    assert catalog["site"].fillna("-").tolist() == ["head/neck", "torso", "-", "-"]
    assert catalog["age"].fillna(-1).tolist() == [55, 50, -1, -1]
    assert [note[:2] for note in notes(problems)] == [
        ("normalized", "anatom_site_general"),
        ("warning", "patient"),
        ("warning", "image"),
    ]
    assert problems["problem"].iloc[0] == "read as 'torso' (1 row)" and problems["table"].iloc[0] == metadata
    assert "4 images without a patient: the lesion stands in for 2" in problems["problem"].iloc[1]
    assert "1 row not in" in problems["problem"].iloc[2]


ANY_ROWS = ("image_name,patient_id,sex,age_approx,anatom_site_general_challenge,target", "a,P1,,,,0", "b,,,,,1")
NAMED = {"image": "image_name", "target": "target"}


@pytest.mark.parametrize(
    ("layout", "columns"), [("kaggle", None), ("columns", NAMED | {"patient": "patient_id"})], ids=str
)
def test_a_row_without_a_patient_is_refused_where_the_layout_has_patients(
    tmp_path: Path, layout: str, columns: dict[str, str] | None
) -> None:
    with pytest.raises(InputError, match="patient_id: is empty"):
        build(given(tmp_path, layout, *ANY_ROWS, images="ab", columns=columns))


@pytest.mark.parametrize(
    ("layout", "columns", "patients"),
    [
        ("columns", NAMED, ["columns:a", "columns:b"]),
        ("columns", NAMED | {"patient": None}, ["columns:a", "columns:b"]),
        ("isic", None, ["P1", "isic:b"]),
    ],
    ids=["columns without a patient", "columns with null for the patient", "isic"],
)
def test_the_image_stands_in_for_a_patient_where_the_layout_needs_none(
    tmp_path: Path, layout: str, columns: dict[str, str] | None, patients: list[str]
) -> None:
    catalog, problems = build(given(tmp_path, layout, *ANY_ROWS, images="ab", columns=columns))
    assert catalog["patient"].tolist() == patients
    assert "without a patient" in problems["problem"].iloc[0]


def test_the_classes_of_2018(tmp_path: Path) -> None:
    lines = ["a,1.0,0.0,0.0,0.0,0.0,0.0,0.0", "b,0.0,0.0,0.0,1.0,0.0,0.0,0.0"]
    catalog, _ = build(given(tmp_path, "isic", "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC", *lines))
    assert catalog["diagnosis"].tolist() == ["melanoma", "actinic keratosis"]


def test_the_classes_of_2017_of_which_neither_is_a_nevus(tmp_path: Path) -> None:
    metadata = table(tmp_path, "m.csv", "image_id,age_approximate,sex", "a,55,female", "b,unknown,unknown", "c,30,male")
    lines = ["a,1.0,0.0", "b,0.0,1.0", "c,0.0,0.0"]
    catalog, _ = build(given(tmp_path, "isic", "image_id,melanoma,seborrheic_keratosis", *lines, metadata=metadata))
    assert catalog["diagnosis"].tolist() == ["melanoma", "seborrheic keratosis", "nevus"]
    assert catalog["target"].tolist() == [1, 0, 0]
    assert math.isnan(catalog["age"].iloc[1]) and pd.isna(catalog["sex"].iloc[1])


def test_an_export_of_the_archive_needs_no_target_and_not_every_patient(tmp_path: Path) -> None:
    header = "isic_id,age_approx,anatom_site_general,benign_malignant,diagnosis_3,lesion_id,patient_id,sex"
    lines = [
        'a,50,anterior torso,malignant,"Melanoma, NOS",IL_1,IP_1,male',
        "b,50,,benign,,IL_2,,male",
        "c,50,,malignant,Basal cell carcinoma,,,male",
        "d,50,,benign,Nevus,IL_1,IP_1,male",
    ]
    catalog, problems = build(given(tmp_path, "isic", header, *lines))
    assert catalog["target"].tolist() == [1, 0, 0, 0]
    assert catalog["patient"].tolist() == ["IP_1", "isic:IL_2", "isic:c", "IP_1"]
    assert ("warning", "lesion_id", "1 lesion(s) with more than one target, such as IL_1") in notes(problems)


def test_ham10000(tmp_path: Path) -> None:
    lines = [
        "HAM_1,a,bkl,histo,80.0,male,scalp,vidir_modern",
        "HAM_1,b,bkl,histo,80.0,male,scalp,vidir_modern",
        "HAM_2,c,mel,histo,,unknown,acral,rosendahl",
    ]
    catalog, _ = build(
        given(tmp_path, "ham10000", "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset", *lines)
    )
    assert catalog["patient"].tolist() == ["ham10000:HAM_1", "ham10000:HAM_1", "ham10000:HAM_2"]
    assert catalog["diagnosis"].tolist() == ["benign keratosis", "benign keratosis", "melanoma"]
    assert catalog["site"].tolist() == ["head/neck", "head/neck", "palms/soles"]
    assert pd.isna(catalog["sex"].iloc[2])


OWN = {"image": "file", "patient": "case", "sex": "sex", "age": "years", "target": "label"}
VALUES = {"target": {"benign": 0, "malignant": 1}, "sex": {"M": "male", "F": "female", "x": None}}


@pytest.mark.parametrize("suffix", ["csv", "parquet", "tsv"])
def test_own_columns_and_words(tmp_path: Path, suffix: str) -> None:
    rows = pd.DataFrame(
        {
            "file": ["a.jpg", "b.JPG", "c"],
            "case": [1, 1, 2],
            "sex": ["m", "F", "x"],
            "years": [50, np.nan, 60],
            "label": ["benign", "Malignant", "benign"],
        }
    )
    source_ = given(tmp_path, "columns", columns=OWN, values=VALUES)
    source_["table"] = str(tmp_path / f"own.{suffix}")
    if suffix == "parquet":
        rows.to_parquet(source_["table"])
    else:
        rows.to_csv(source_["table"], index=False, sep="\t" if suffix == "tsv" else ",")
    catalog, problems = build(source_)
    assert catalog["image"].tolist() == ["a", "b", "c"] and catalog["patient"].tolist() == ["columns:1"] * 2 + [
        "columns:2"
    ]
    assert catalog["target"].tolist() == [0, 1, 0] and catalog["sex"].fillna("-").tolist() == ["male", "female", "-"]
    assert catalog["age"].fillna(-1).tolist() == [50, -1, 60]
    assert notes(problems)[0][:2] == ("normalized", "file")
    assert ("warning", "case", "1 patient(s) with more than one sex, such as columns:1") in notes(problems)


def test_a_row_of_a_parquet_table_is_counted_from_one(tmp_path: Path) -> None:
    source_ = given(tmp_path, "columns", columns=OWN) | {"table": str(tmp_path / "own.parquet")}
    rows = pd.DataFrame({"file": list("ab"), "case": list("pq"), "sex": None, "years": [50, 500], "label": [0, 1]})
    rows.to_parquet(source_["table"])
    with pytest.raises(InputError, match=r"own\.parquet: years: expected years.*\n  - row 2, image b: '500'"):
        build(source_)


def test_images_may_lie_in_several_folders(tmp_path: Path) -> None:
    source_ = source(tmp_path)
    (tmp_path / "more").mkdir()
    Path(source_["images"], "ISIC_2.jpg").rename(tmp_path / "more" / "ISIC_2.png")
    catalog, _ = build(source_ | {"images": [source_["images"], str(tmp_path / "more")]})
    assert catalog["file"].iloc[1] == f"{tmp_path}/more/ISIC_2.png"


def test_a_role_is_study_unless_it_is_extra_train_which_may_have_one_class(tmp_path: Path) -> None:
    extra = given(tmp_path, "ham10000", "lesion_id,image_id,dx,age,sex,localization", "L,a,mel,50,male,back")
    catalog, _ = build(source(tmp_path), extra | {"role": "extra_train"})
    assert catalog["role"].tolist() == ["study"] * 3 + ["extra_train"]
    with pytest.raises(InputError, match=r"the only roles are extra_train\. Give at least one source role study"):
        build(source(tmp_path, name="b") | {"role": "extra_train"})


def test_the_later_of_two_sources_loses_an_image_that_both_have(tmp_path: Path) -> None:
    catalog, problems = build(
        source(tmp_path, name="a"),
        source(tmp_path, [*ROWS[:1], "HAM_2,p,,,,,,0", "HAM_3,q,,,,,,1"], name="b"),
        on_bad_row="drop",
    )
    assert catalog["source"].tolist() == ["a"] * 3 + ["b"] * 2
    assert problems[["source", "row", "image", "action"]].to_numpy().tolist() == [["b", 2, "ISIC_1", "dropped"]]


@settings(max_examples=15)
@given_(st.permutations(range(6)), st.sampled_from(["fail", "drop"]))
def test_the_order_of_rows_changes_nothing_but_the_order(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], policy: str
) -> None:
    rows = [*ROWS, "ISIC_4,IP_3,male,10,torso,nevus,benign,0", "ISIC_5,IP_4,,,,,,0", "ISIC_6,IP_4,,,,melanoma,,1"]
    straight, _ = build(source(tmp_path_factory.mktemp("s"), rows), on_bad_row=policy)
    mixed, _ = build(source(tmp_path_factory.mktemp("m"), [rows[i] for i in order]), on_bad_row=policy)
    columns = [column for column in SCHEMA.columns if column != "file"]
    pd.testing.assert_frame_equal(
        mixed.sort_values("image", ignore_index=True)[columns],
        straight.sort_values("image", ignore_index=True)[columns],
    )


@pytest.mark.real_data
def test_the_official_table_of_33126_rows(tmp_path: Path) -> None:
    table = real_data("isic2020-tables/train.csv")
    for name in pd.read_csv(table)["image_name"]:
        (tmp_path / f"{name}.jpg").touch()
    catalog, problems = build({"name": "isic2020", "layout": "kaggle", "table": str(table), "images": str(tmp_path)})
    assert len(catalog) == 33126 and (catalog["role"] == "study").all()
    assert set(problems["action"]) <= {"warning"}
    assert catalog["target"].sum() == 584 and catalog["patient"].nunique() == 2056
    assert catalog[["sex", "age", "site"]].isna().sum().tolist() == [65, 68, 527]


@pytest.mark.real_data
def test_the_official_table_with_lesions(tmp_path: Path) -> None:
    official = real_data("isic2020-tables/ISIC_2020_Training_GroundTruth_v2.csv")
    for name in pd.read_csv(official)["image_name"]:
        (tmp_path / f"{name}.jpg").touch()
    catalog, _ = build({"name": "isic2020", "layout": "isic", "table": str(official), "images": str(tmp_path)})
    assert len(catalog) == 33126 and catalog["target"].sum() == 584 and catalog["patient"].nunique() == 2056
    assert catalog["lesion"].notna().all() and catalog["diagnosis"].isna().sum() == 27124
