"""What a table says in foreign words or columns is never misread, and what a message proposes goes through."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from cases import CASES, needs_cases
from melanoma.common.errors import InputError
from melanoma.config.data import Data
from melanoma.data.catalog import build_catalog

Built = tuple[pd.DataFrame, pd.DataFrame]
BASAL = "Malignant,Malignant adnexal epithelial proliferations - Follicular,Basal cell carcinoma"
INVASIVE = "Malignant,Malignant melanocytic proliferations (Melanoma),Melanoma Invasive"
OF_2024 = (
    "isic_id,target,patient_id,age_approx,sex,anatom_site_general,iddx_1,iddx_2,iddx_3",
    f"a,1,P1,60,male,torso,{BASAL}",
    f"b,1,P1,60,male,torso,{INVASIVE}",
    "c,0,P2,60,male,torso,Benign,,",
    f"d,1,P2,60,male,torso,{BASAL}",
)


def build(folder: Path, *lines: str, policy: str = "fail", **source: Any) -> Built:
    (folder / "t.csv").write_text("\n".join(lines))
    given = {"name": "s", "table": str(folder / "t.csv"), "images": None} | source
    return build_catalog(Data(sources=[given], on_bad_row=policy))


def message(folder: Path, *lines: str, **source: Any) -> str:
    with pytest.raises(InputError) as caught:
        build(folder, *lines, **source)
    return str(caught.value)


def warnings(issues: pd.DataFrame) -> list[tuple[str, str]]:
    rows = issues[issues["action"] == "warning"]
    return list(rows[["column", "problem"]].itertuples(index=False, name=None))


def test_the_target_of_2024_is_malignancy_and_the_diagnosis_decides(tmp_path: Path) -> None:
    catalog, issues = build(tmp_path, *OF_2024, layout="isic")
    assert catalog["target"].tolist() == [0, 1, 0, 0]
    assert catalog["diagnosis"].fillna("-").tolist() == [
        "basal cell carcinoma",
        "melanoma",
        "-",
        "basal cell carcinoma",
    ]
    assert any("target is malignancy" in problem for _, problem in warnings(issues))


@pytest.mark.parametrize("diagnosis", [{"diagnosis": "iddx_3"}, {}], ids=["diagnosis named", "diagnosis not named"])
@pytest.mark.parametrize("policy", ["fail", "drop"])
def test_a_target_that_is_malignancy_stops_any_layout_and_the_proposed_lines_read_it(
    tmp_path: Path, diagnosis: dict[str, str], policy: str
) -> None:
    lines = [line for line in OF_2024 if "Benign" not in line] + [
        "c,0,P2,60,male,torso,Benign,Benign melanocytic proliferations,Nevus"
    ]
    columns = {"image": "isic_id", "patient": "patient_id", "target": "target"} | diagnosis
    text = message(tmp_path, *lines, layout="columns", columns=columns, policy=policy)
    assert "target is malignancy, not melanoma: it is 1 for 2 other cancers in iddx_" in text
    proposed = yaml.safe_load("{" + text.split("Let the diagnosis decide: ")[1].splitlines()[0] + "}")
    assert build(tmp_path, *lines, **proposed)[0]["target"].tolist() == [0, 1, 0, 0]


HEADER = "isic_id,patient_id,diagnosis_1,diagnosis_2,diagnosis_3"


@pytest.mark.parametrize(
    ("levels", "target", "diagnosis"),
    [
        ("Benign,,", 0, None),
        ("Benign,Benign melanocytic proliferations,", 0, None),
        ("Indeterminate,,", 0, None),
        ("Malignant,Malignant melanocytic proliferations (Melanoma),", 1, "melanoma"),
        ("Malignant,Merkel cell proliferation,Merkel cell carcinoma", 0, "other malignant"),
        ("Benign,Inflammatory or infectious diseases,Verruca", 0, "other benign"),
        ("Benign,Benign melanocytic proliferations,A nevus of tomorrow", 0, None),
    ],
)
def test_a_row_of_the_archive_has_the_label_of_its_most_special_known_level(
    tmp_path: Path, levels: str, target: int, diagnosis: str | None
) -> None:
    catalog, _ = build(tmp_path, HEADER, f"a,P,{levels}", f"b,Q,{INVASIVE}", "c,R,Benign,,", layout="isic")
    first = catalog.iloc[0]
    assert first["target"] == target and (None if pd.isna(first["diagnosis"]) else first["diagnosis"]) == diagnosis


@pytest.mark.parametrize(
    ("levels", "problem"),
    [
        (f"Benign,{INVASIVE.partition(',')[2]}", "'Benign' is benign and 'Melanoma Invasive' is malignant"),
        (f"{INVASIVE.rpartition(',')[0]},Basal cell carcinoma", "'Basal cell carcinoma' is no melanoma"),
        ("Malignant,,", "does not tell whether this is a melanoma"),
        ("Malignant,Collision - At least one malignant proliferation,", "does not tell whether this is a melanoma"),
        (",,", "does not tell whether this is a melanoma"),
    ],
)
def test_levels_that_contradict_each_other_or_tell_nothing_are_a_problem_of_the_row(
    tmp_path: Path, levels: str, problem: str
) -> None:
    text = message(tmp_path, HEADER, f"a,P,{levels}", f"b,Q,{INVASIVE}", "c,R,Benign,,", layout="isic")
    assert problem in text and "line 2, image a" in text


def test_the_sites_of_the_archive_are_read_in_their_levels(tmp_path: Path) -> None:
    lines = ["a,P,Benign,Lower extremity,Foot,Sole of foot", f"b,Q,{INVASIVE.split(',')[2]},Trunk,Lateral trunk,"]
    header = "isic_id,patient_id,diagnosis_3,anatom_site_1,anatom_site_2,anatom_site_3"
    assert build(tmp_path, header, *lines, layout="isic")[0]["site"].tolist() == ["palms/soles", "torso"]


KAGGLE = "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,target"
OWN = {"image": "file", "patient": "who", "diagnosis": "dx", "sex": "sex", "age": "age", "site": "where"}


@pytest.mark.parametrize(
    ("lines", "source"),
    [
        ((KAGGLE, "a,P,M,50,torso,malignant", "b,Q,F,old,upper-body,benign"), {"layout": "kaggle"}),
        (
            ("file,who,dx,sex,age,where", "a,P,melnoma,M,50,torso", "b,Q,spotty thing,x,1,head"),
            {"layout": "columns", "columns": OWN},
        ),
        (("isic_id,dx_x,diagnosis", "a,1,melanoma", "b,2,strange sarcoma"), {"layout": "isic"}),
    ],
    ids=["words of every column", "diagnoses", "a cancer"],
)
def test_the_proposed_meanings_of_unknown_words_go_through(
    tmp_path: Path, lines: tuple[str, ...], source: dict[str, Any]
) -> None:
    text = message(tmp_path, *lines, **source)
    proposed = yaml.safe_load(text[text.index("  name: s") :])
    assert proposed.pop("name") == "s"
    assert build(tmp_path, *lines, **source, **proposed)[0]["target"].tolist() == [1, 0]


def test_the_meaning_of_an_empty_diagnosis_can_be_given_as_proposed(tmp_path: Path) -> None:
    lines = (HEADER, f"a,P,{INVASIVE}", "b,Q,,,")
    text = message(tmp_path, *lines, layout="isic")
    proposed = yaml.safe_load("{" + text.split("say so in the source: ")[1].split(" (1 row)")[0] + "}")
    assert build(tmp_path, *lines, layout="isic", **proposed)[0]["target"].tolist() == [1, 0]


def test_one_default_is_the_meaning_of_all_other_words_but_of_no_melanoma(tmp_path: Path) -> None:
    lines = ("file,dx", "a,melanoma", "b,odd spot", "c,nevus")
    source = {"layout": "columns", "columns": {"image": "file", "diagnosis": "dx"}}
    values = {"diagnosis": {"*": "other benign"}}
    catalog, _ = build(tmp_path, *lines, **source, values=values)
    assert catalog["diagnosis"].tolist() == ["melanoma", "other benign", "nevus"]
    assert "'melanoma, thin'" in message(tmp_path, *lines, 'd,"melanoma, thin"', **source, values=values)


def test_missing_columns_are_told_with_near_names_and_the_proposed_lines_read_them(tmp_path: Path) -> None:
    lines = ("image,target,gender,age,site,Subject ID", "a,1,male,50,torso,P", "b,0,female,60,back,Q")
    catalog, issues = build(tmp_path, *lines, layout="columns", columns={"image": "image", "target": "target"})
    assert catalog[["sex", "age", "site"]].isna().all(axis=None)
    told = {column: problem for column, problem in warnings(issues) if "no such column" in problem}
    assert list(told) == ["patient", "sex", "age", "site"] and "is gender meant?" in told["sex"]
    proposed = yaml.safe_load("{" + told["sex"].split("Then name it: ")[1] + "}")
    catalog, issues = build(tmp_path, *lines, **proposed)
    assert catalog[["patient", "sex", "age", "site"]].to_numpy().tolist()[1] == ["s:Q", "female", 60, "torso"]
    assert warnings(issues) == []


def test_an_age_of_85_or_more_is_85(tmp_path: Path) -> None:
    catalog, issues = build(tmp_path, KAGGLE, "a,P,male,85+,torso,1", "b,Q,male,50,torso,0", layout="kaggle")
    assert catalog["age"].tolist() == [85, 50] and issues["problem"].tolist() == ["read as 85 (1 row)"]


@needs_cases
def test_the_tables_of_2024_and_of_the_archive_today() -> None:
    assert CASES is not None
    table = str(CASES / "data" / "i2024" / "train-metadata.csv")
    source = {"name": "s", "layout": "isic", "images": None}
    catalog, _ = build_catalog(Data(sources=[source | {"table": table}]))
    assert len(catalog) == 200 and catalog["target"].sum() == 4
    export = source | {"table": str(CASES / "data" / "cli" / "metadata.csv"), "values": {"diagnosis": {"": "benign"}}}
    catalog, _ = build_catalog(Data(sources=[export]))
    assert len(catalog) == 150 and catalog["target"].sum() == 30
