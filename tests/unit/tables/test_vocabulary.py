"""The vocabulary has every name that the sources use, and finds the nearest word for an unknown name."""

import pandas as pd
import pytest

from melanoma.sources.class_columns import ONE_HOT, ONE_HOT_2017
from melanoma.tables.vocabulary import (
    BENIGN,
    DIAGNOSES,
    MALIGNANT,
    MELANOMA,
    UNKNOWN,
    VOCABULARIES,
    contradiction,
    harmonize,
    nearest,
    replace,
)
from project import ROOT

ARCHIVE = ROOT / "scripts" / "melanoma" / "tables" / "archive_vocabulary.csv"


@pytest.mark.parametrize("name", VOCABULARIES)
def test_no_word_means_two_things(name):
    vocabulary = VOCABULARIES[name]
    words = [word.lower() for word in vocabulary] + [alias for aliases in vocabulary.values() for alias in aliases]
    assert len(words) == len(set(words))
    assert all(alias == alias.lower() for aliases in vocabulary.values() for alias in aliases)


def test_case_decides_nothing_and_unknown_is_missing():
    found = harmonize(pd.Series(["Melanoma", "NV", "nevus", "unknown", None, "xyzzy"], dtype="str"), "diagnosis")
    assert found["word"].fillna("-").tolist() == [MELANOMA, "nevus", "nevus", "-", "-", "-"]
    assert found["known"].tolist() == [True] * 5 + [False]
    assert found["alias"].tolist() == [False, True, False, False, False, False]


def test_a_column_without_a_value_is_all_known():
    found = harmonize(pd.Series([None, None], dtype="str"), "diagnosis")
    assert found["word"].isna().all() and found["known"].all() and not found["alias"].any()


def test_every_class_of_the_challenges_is_of_the_vocabulary():
    assert {*ONE_HOT.values(), *ONE_HOT_2017.values(), "nevus"} <= set(DIAGNOSES)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("diagnosis", ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"]),
        ("site", ["anterior torso", "posterior torso", "lateral torso", "palms/soles", "oral/genital", "head/neck"]),
        ("site", ["abdomen", "acral", "back", "chest", "ear", "face", "foot", "genital", "hand", "lower extremity"]),
        ("site", ["neck", "scalp", "trunk", "unknown", "upper extremity"]),
    ],
)
def test_every_word_of_the_public_tables_is_known(column, words):
    assert harmonize(pd.Series(words, dtype="str"), column)["known"].all()


def test_what_may_be_malignant_is_not_called_benign():
    assert set(DIAGNOSES) - BENIGN >= {MELANOMA, UNKNOWN, "basal cell carcinoma", "squamous cell carcinoma"}


def test_what_was_meant_is_found_also_through_another_name():
    assert nearest(["melnoma", "nevi", "naevos", "xyzzy"], "diagnosis")["melnoma"] == MELANOMA
    assert nearest(["naevos"], "diagnosis") == {"naevos": "nevus"}
    assert nearest(["xyzzy"], "diagnosis") == {}


def test_every_word_of_the_archive_is_known_and_its_label_is_that_of_its_branch():
    table = pd.read_csv(ARCHIVE, comment="#", names=["column", "path"])
    for column, paths in table.groupby("column")["path"]:
        levels = paths.str.rpartition(":")[2].reset_index(drop=True)
        assert harmonize(levels, column)["known"].all() and len(levels) > 200
    paths = table.loc[table["column"] == "diagnosis", "path"]
    assert all(contradiction(path) is None for path in paths)
    words = harmonize(paths.str.rpartition(":")[2], "diagnosis")["word"]
    assert ((words == MELANOMA) == paths.str.startswith("Malignant:Malignant melanocytic")).all()
    assert words[paths.str.startswith("Benign")].isin(BENIGN).all()
    assert words[paths.str.startswith("Malignant")].isin(MALIGNANT).all()


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("melanocytoma", "diagnosis"),
        ("melanosi", "diagnosis"),
        ("basal cell papilloma", "diagnosis"),
        ("lipo sarcoma benign", "diagnosis"),
        ("per extremity", "site"),
        ("fmale", "sex"),
    ],
)
def test_no_hint_leads_from_benign_to_malignant_or_to_another_site_or_sex(text, column):
    hint = nearest([text], column).get(text)
    assert hint is None or hint in BENIGN


def test_meanings_of_a_source_come_before_the_vocabulary_and_a_default_after_it():
    texts = pd.Series(["Spot", "nevus", "thin melanoma", None, "Benign:Odd"], dtype="str")
    meanings = {"nevus": "dermatofibroma", "*": "other benign", "": "unknown"}
    assert replace(texts, "diagnosis", meanings).tolist() == [
        "other benign",
        "dermatofibroma",
        "thin melanoma",
        "unknown",
        "Benign:Odd",
    ]
    assert replace(pd.Series(["0", "x"], dtype="str"), "target", {"*": 1}).tolist() == ["0", "1"]
