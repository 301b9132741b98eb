"""The vocabulary has every name that the sources use, and finds the nearest word for an unknown name."""

import pandas as pd
import pytest

from melanoma.data.class_columns import ONE_HOT, ONE_HOT_2017
from melanoma.data.vocabulary import BENIGN, DIAGNOSES, MELANOMA, UNKNOWN, VOCABULARIES, harmonize, nearest


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
