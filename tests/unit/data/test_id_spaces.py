"""Whose ids are the same: respelled tables give the same groups, guesses stop the run, sources keep their own ids."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cases import CASES, needs_cases
from effort import drawn
from melanoma.common.errors import InputError
from melanoma.config.data import Data
from melanoma.data.catalog import build_catalog
from melanoma.split.assign import group_images

COLUMNS = {"image": "image", "patient": "patient", "lesion": "lesion", "sex": "sex", "target": "target"}
NO_PAIRS = pd.DataFrame({"first": [], "second": []}, dtype="str")
CERTAIN = (
    lambda text: text,
    lambda text: f"{text}.0",
    lambda text: f"\ufeff {text}\u00a0",
    lambda text: "".join(chr(ord(character) + 0xFEE0) for character in text),
)


def source(folder: Path, table: pd.DataFrame, name: str = "a", **more: Any) -> dict[str, Any]:
    path = folder / f"{name}.csv"
    table.to_csv(path, index=False)
    columns = {ours: theirs for ours, theirs in COLUMNS.items() if theirs in table}
    return {"name": name.lower(), "layout": "columns", "columns": columns, "table": str(path), "images": None} | more


def build(*sources: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    return build_catalog(Data(sources=sources))


def clinic(patients: list[Any], letter: str = "A", sex: str | None = None, **columns: Any) -> pd.DataFrame:
    names = [f"{letter}{number:03d}" for number in range(len(patients))]
    table = pd.DataFrame({"image": names, "patient": patients, "target": np.arange(len(patients)) % 2, **columns})
    return table.assign(sex=sex) if sex else table


def respelled_tables(folder: Path, count: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]], pd.DataFrame]:
    """Return sources of random tables, the same with respelled names and ids, and the ids that both must have."""
    random = np.random.default_rng(0)
    plain, respelled, ids = [], [], []
    for number in range(count):
        drawn = random.integers(1, 10, (2, int(random.integers(2, 9)))).astype(str)
        table = clinic(list(drawn[0]), f"{number}-", lesion=list(drawn[1]))
        other = table.assign(image=[f"x/{name}.jpg" if random.random() < 0.5 else name for name in table["image"]])
        for kind in ("patient", "lesion"):
            other[kind] = [CERTAIN[random.integers(len(CERTAIN))](text) for text in table[kind]]
        plain.append(source(folder, table, f"s{number}", ids="source"))
        respelled.append(source(folder, other, f"s{number}_", ids="source") | {"name": f"s{number}"})
        ids.append(table.assign(patient=f"s{number}:" + table["patient"], lesion=f"s{number}:" + table["lesion"]))
    return plain, respelled, pd.concat(ids, ignore_index=True)


@pytest.mark.many_cases
def test_certain_respellings_never_change_the_groups(tmp_path: Path) -> None:
    _, respelled, ids = respelled_tables(tmp_path, drawn(50, 500))
    catalog = build(*respelled)[0]
    for column in ("image", "patient", "lesion"):
        assert catalog[column].tolist() == ids[column].tolist()
    groups = [group_images(each, ("patient", "lesion"), NO_PAIRS) for each in (catalog, catalog.assign(**ids))]
    np.testing.assert_array_equal(*groups)


def test_certain_respellings_change_nothing_else_of_a_catalog(tmp_path: Path) -> None:
    plain, respelled, _ = respelled_tables(tmp_path, 20)
    pd.testing.assert_frame_equal(build(*plain)[0], build(*respelled)[0])


def doubts(issues: pd.DataFrame) -> pd.DataFrame:
    """Return the issues but for those of columns that these small tables lack."""
    return issues[~issues["problem"].str.contains("no such column")]


def test_the_same_ids_of_two_years_are_the_same_patients_where_the_sources_say_so(tmp_path: Path) -> None:
    years = clinic([100, 100, 101, 102]), clinic(["100.0", "101.0", "102.0", "103.0"], "B")
    sources = [source(tmp_path, table, name) for table, name in zip(years, "ab", strict=True)]
    with pytest.raises(
        InputError, match=r"sources a and b: 3 patient ids .*such as 100, 101, 102.*ids: global in both"
    ):
        build(*sources)
    shared, _ = build(*(each | {"ids": "global"} for each in sources))
    assert shared["patient"].tolist() == ["100", "100", "101", "102", "100", "101", "102", "103"]
    own, issues = build(*(each | {"ids": "source"} for each in sources))
    assert own["patient"].tolist()[:5] == ["a:100", "a:100", "a:101", "a:102", "b:100"] and doubts(issues).empty


def test_other_persons_under_the_same_ids_are_told_by_their_sexes(tmp_path: Path) -> None:
    patients = [1, 1, 2, 2, 3, 3]
    one, other = clinic(patients, "A", "male"), clinic(patients, "B", "female")
    sources = source(tmp_path, one), source(tmp_path, other, "b")
    catalog, issues = build(*sources)
    assert catalog["patient"].nunique() == 6
    assert doubts(issues)["problem"].str.contains("the sex of 3 differs").tolist() == [True]
    _, issues = build(*(each | {"ids": "global"} for each in sources))
    assert doubts(issues)["problem"].tolist() == ["3 patient(s) with more than one sex, such as 1, 2, 3"]
    assert doubts(issues)["source"].tolist() == ["a, b"]


def test_a_table_of_the_archive_under_other_names_of_columns_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "isic.csv"
    path.write_text("isic_id,patient_id,target\nx,IP_1,0\ny,IP_2,1\n")
    archive = {"name": "isic", "layout": "isic", "table": str(path), "images": None}
    with pytest.raises(InputError, match=r"sources isic and a: 2 patient ids.*set ids: source in a"):
        build(archive, source(tmp_path, clinic(["ip_1", "IP_2"])))


@pytest.mark.parametrize("two", [["P7", "p7"], ["7", "007"], ["A-1", "A_1"], ["A 1", "A1"], ["12-345", "12345"]])
@pytest.mark.parametrize("kind", ["patient", "lesion"])
def test_similar_ids_stop_the_run_unless_the_source_says_what_they_are(
    tmp_path: Path, two: list[str], kind: str
) -> None:
    ids = [two[0], two[1], two[1], "other"]
    given_ = source(tmp_path, clinic(["x"] * 4).assign(**{kind: ids}))
    with pytest.raises(InputError) as caught:
        build(given_)
    message = str(caught.value)
    assert f"source a: {kind} ids that may be spellings of one" in message
    assert f"'{two[0]}' ({tmp_path}/a.csv line 2), '{two[1]}' ({tmp_path}/a.csv line 3 and 1 more)" in message
    assert build(given_ | {"similar_ids": "same"})[0][kind].tolist() == [f"a:{min(two)}"] * 3 + ["a:other"]
    assert build(given_ | {"similar_ids": "different"})[0][kind].tolist() == [f"a:{each}" for each in ids]


def test_similar_ids_of_two_sources_that_share_ids_need_the_word_of_both(tmp_path: Path) -> None:
    one = source(tmp_path, clinic(["P7", "P8"]), ids="global", similar_ids="same")
    other = source(tmp_path, clinic(["p7", "P9"], "B"), "b", ids="global")
    with pytest.raises(InputError, match="source a, b: patient ids that may be spellings of one"):
        build(one, other)
    catalog, _ = build(one, other | {"similar_ids": "same"})
    assert catalog["patient"].tolist() == ["P7", "P8", "P7", "P9"]
    own = build(one | {"ids": "source"}, other | {"ids": "source"})[0]
    assert own["patient"].tolist() == ["a:P7", "a:P8", "b:p7", "b:P9"]


def test_similar_names_of_images_stop_a_study_of_tables_but_files_show_two_images(tmp_path: Path) -> None:
    table = clinic(["x", "y"]).assign(image=["IMG_1", "img_01"])
    with pytest.raises(InputError, match="image names that may be spellings of one"):
        build(source(tmp_path, table))
    for number, name in enumerate(table["image"]):
        (tmp_path / f"{name}.jpg").write_bytes(b"x" * (number + 1))
    assert build(source(tmp_path, table, images=str(tmp_path)))[0]["image"].tolist() == ["IMG_1", "img_01"]


def test_a_second_table_with_respelled_images_is_joined_where_the_source_says_so(tmp_path: Path) -> None:
    (tmp_path / "more.csv").write_text("image,lesion\na000,L1\nA001,L2\n")
    given_ = source(tmp_path, clinic(["x", "y"]), metadata=str(tmp_path / "more.csv"))
    given_["columns"] = given_["columns"] | {"lesion": "lesion"}
    with pytest.raises(InputError, match="'a000': is 'A000' meant"):
        build(given_)
    assert build(given_ | {"similar_ids": "same"})[0]["lesion"].tolist() == ["a:L1", "a:L2"]


@needs_cases
@pytest.mark.parametrize("second", ["clinB", "clinB2"])
def test_the_clinics_of_the_cases(second: str) -> None:
    columns = COLUMNS | {"age": "age", "target": "label"}
    sources = [
        {
            "name": name.lower(),
            "layout": "columns",
            "columns": columns,
            "table": f"{CASES}/data/tab/{name}.csv",
            "images": None,
        }
        for name in ("clinA", second)
    ]
    for each in ({}, {"ids": "source"}):
        catalog, _ = build(*(given_ | each for given_ in sources))
        assert (catalog["patient"].nunique(), catalog["lesion"].nunique()) == (60, 120)
    _, issues = build(*(given_ | {"ids": "global"} for given_ in sources))
    assert issues["problem"].str.contains("30 patient.s. with more than one sex").any()


@needs_cases
def test_the_years_of_the_cases_have_80_patients() -> None:
    columns = {"image": "image", "patient": "patient", "sex": "sex", "age": "age", "target": "label"}
    sources = [
        {"name": f"y{year}", "layout": "columns", "columns": columns, "images": None, "ids": "global"}
        | {"table": f"{CASES}/data/leak/{year}.csv"}
        for year in (2022, 2023)
    ]
    assert build(*sources)[0]["patient"].nunique() == 80


@needs_cases
@pytest.mark.parametrize("table", ["patient_float_mix", "names_space", "names_jpg", "names_int"])
def test_tables_of_the_cases_keep_their_20_patients(table: str) -> None:
    path = f"{CASES}/data/tab/{table}.csv"
    catalog, _ = build({"name": "a", "table": path, "images": None})
    assert (len(catalog), catalog["patient"].nunique()) == (40, 20)
