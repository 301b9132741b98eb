"""Certain spellings of an id are one id; spellings that are a guess are found; ids of other persons are not."""

import unicodedata

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from melanoma.common.errors import InputError
from melanoma.tables.identifiers import as_known, image_name, plain, similar

CERTAIN = {
    "blanks at the ends": lambda text: f"  {text}\t",
    "no-break spaces": lambda text: f"\u00a0{text.replace(' ', chr(0xA0))}\u202f",
    "a byte order mark": lambda text: f"\ufeff{text}",
    "a zero-width space": lambda text: f"{text[:1]}\u200b{text[1:]}",
    "decomposed letters": lambda text: unicodedata.normalize("NFD", text),
    "composed letters": lambda text: unicodedata.normalize("NFC", text),
    "full-width characters": lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
    "a fraction of zero": lambda text: f"{text}.0" if text.isascii() and text.isdigit() else text,
}
GUESS = {
    "upper case": str.upper,
    "lower case": str.lower,
    "leading zeros": lambda text: f"00{text}" if text[:1].isdigit() else text,
    "blanks for hyphens": lambda text: text.replace("-", " "),
    "underscores for hyphens": lambda text: text.replace("-", "_"),
    "no hyphens": lambda text: text.replace("-", ""),
    "another dash": lambda text: text.replace("-", "\u2013"),
    "superscript": lambda text: text.replace("2", "\u00b2"),
}
IDS = st.from_regex(r"\A(?:[A-Za-zé]{0,3}-?[1-9][0-9]{0,3}(?:-[1-9])?)\Z")


@settings(max_examples=500)
@given(name=IDS, ways=st.lists(st.sampled_from(sorted(CERTAIN)), max_size=3))
def test_a_certain_respelling_is_the_same_id(name: str, ways: list[str]) -> None:
    respelled = name
    for way in ways:
        respelled = CERTAIN[way](respelled)
    assert plain(respelled) == plain(plain(respelled)) == plain(name)
    assert image_name(f"images/{respelled}.JPG") == image_name(f"C:\\x\\{respelled}.png .jpg ") == image_name(name)


@pytest.mark.parametrize("way", GUESS)
@settings(max_examples=100)
@given(name=IDS)
def test_a_guess_is_never_silent(way: str, name: str) -> None:
    respelled = GUESS[way](name)
    if plain(respelled) != plain(name):
        assert set(similar([plain(name), plain(respelled), "another"]).index) == {plain(name), plain(respelled)}


@pytest.mark.parametrize(
    "names",
    [
        ["1-23", "12-3"],  # patient and number
        ["00a1", "0a01"],  # hexadecimal numbers
        ["1.05", "1.5", "1.10"],
        ["7", "70", "77", "700"],
        ["P7", "Q7", "PP7"],
        ["IL_0000010", "IL_0000100", "IP_0000010"],
        ["P2a", "P2b", "2Pa"],
    ],
)
def test_other_names_are_not_similar(names: list[str]) -> None:
    assert similar(names).empty


def test_sets_are_told_apart() -> None:
    sets = similar(["P7", "p7", "P-07", "Q1", "q1", "R1"])
    assert sets.groupby(sets).groups.values() and sets["P7"] == sets["p7"] == sets["P-07"] != sets["Q1"] == sets["q1"]
    assert "R1" not in sets


@pytest.mark.parametrize("name", [".jpg", "a/", "", "a.b", "x.txt"])
def test_a_name_is_never_lost(name: str) -> None:
    assert image_name(name) == name


def test_names_of_another_table_are_matched_as_the_source_says() -> None:
    names, known = pd.Series(["isic_1", "ISIC_2", "z", None]), pd.Series(["ISIC_1", "ISIC_2", None])
    with pytest.raises(InputError, match=r"more\.csv: .*\n.*'isic_1': is 'ISIC_1' meant\?"):
        as_known(names, known, "fail", "more.csv")
    assert as_known(names, known, "same", "more.csv").fillna("-").tolist() == ["ISIC_1", "ISIC_2", "z", "-"]
    assert as_known(names, known, "different", "more.csv").fillna("-").tolist() == ["isic_1", "ISIC_2", "z", "-"]
