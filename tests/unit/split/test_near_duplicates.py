"""Certain pairs stay together, doubts join two groups at most, and lists decide against the search."""

from pathlib import Path

import pandas as pd
import pytest

from melanoma.config.split import NearDuplicates
from melanoma.split.assign import read_pairs
from melanoma.split.near_duplicates import linked, log_doubts, read_near_duplicates, settle_doubts

NO_PAIRS = read_pairs(None)


def near(*pairs: tuple[str, str, str, float]) -> pd.DataFrame:
    return pd.DataFrame(pairs, columns=["first", "second", "verdict", "correlation"]).assign(chance_pairs=0.1)


def images(names: str, patients: str) -> pd.DataFrame:
    return pd.DataFrame({"image": list(names), "patient": list(patients)}, dtype="str")


def verdicts(pairs: pd.DataFrame) -> dict[str, str]:
    return dict(zip(pairs["first"] + pairs["second"], pairs["verdict"], strict=True))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "near.csv"
    pairs = near(("a", "b", "merged", 0.9), ("c", "d", "doubted", 0.45), ("e", "f", "merged", 0.6))
    pairs.rename(columns={"first": "image_a", "second": "image_b"}).to_csv(path, index=False)
    return path


def listed(path: Path, *pairs: str) -> str:
    path.write_text("one,other\n" + "".join(f"{one},{other}\n" for one, other in pairs))
    return str(path)


def test_lists_decide_against_the_search_in_either_order_of_the_names(table: Path, tmp_path: Path) -> None:
    same = listed(tmp_path / "same.csv", "dc", "xy", "xy")
    different = listed(tmp_path / "different.csv", "ba", "uv")
    pairs = read_near_duplicates(table, NearDuplicates(same=same, different=different))
    assert verdicts(pairs) == {"ab": "cleared", "cd": "listed", "ef": "merged", "xy": "listed"}
    assert linked(pairs)[["first", "second"]].to_numpy().tolist() == [["c", "d"], ["e", "f"], ["x", "y"]]


def test_without_a_search_the_listed_pairs_stay_together(tmp_path: Path) -> None:
    pairs = read_near_duplicates(None, NearDuplicates(search=False, same=listed(tmp_path / "same.csv", "ab")))
    assert verdicts(pairs) == {"ab": "listed"}
    assert read_near_duplicates(None, NearDuplicates(search=False)).empty


def test_a_doubt_joins_two_groups_and_never_a_third_one() -> None:
    pairs = near(("a", "b", "doubted", 0.5), ("b", "c", "doubted", 0.48), ("c", "d", "doubted", 0.46))
    expected = {"ab": "doubted, kept together", "bc": "doubted, kept apart", "cd": "doubted, kept together"}
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2]):
        settled = settle_doubts(pairs.iloc[order], images("abcd", "1234"), ("patient",), NO_PAIRS)
        assert verdicts(settled) == expected


def test_doubts_inside_a_group_and_between_the_same_two_groups_are_no_chain() -> None:
    pairs = near(
        ("a", "b", "doubted", 0.5), ("b", "c", "doubted", 0.48), ("a", "d", "doubted", 0.46), ("d", "e", "merged", 0.9)
    )
    settled = settle_doubts(pairs, images("abcde", "11223"), ("patient",), NO_PAIRS)
    assert set(settled["verdict"]) == {"doubted, kept together", "merged"}
    apart = settle_doubts(pairs, images("abcde", "11234"), ("patient",), NO_PAIRS)
    assert verdicts(apart)["ad"] == "doubted, kept apart"


def test_a_certain_pair_of_three_groups_is_chained_as_before() -> None:
    pairs = near(("a", "b", "merged", 0.9), ("b", "c", "merged", 0.8))
    settled = settle_doubts(pairs, images("abc", "123"), ("patient",), NO_PAIRS)
    assert len(linked(settled)) == 2


def test_a_doubt_about_an_image_that_is_not_in_the_study_stays_open() -> None:
    settled = settle_doubts(near(("a", "x", "doubted", 0.5)), images("ab", "12"), ("patient",), NO_PAIRS)
    assert linked(settled).empty


def test_doubts_are_named_with_their_figures_and_the_way_to_decide(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        log_doubts(settle_doubts(near(("a", "b", "doubted", 0.5)), images("ab", "12"), ("patient",), NO_PAIRS))
    assert "a and b: doubted, kept together, correlation 0.50 (0.1 such pairs expected by chance)" in caplog.text
    assert "split.near_duplicates.same or .different" in caplog.text
