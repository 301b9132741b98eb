"""The canonical form of ids and image names, and the search for ids that may be two spellings of one.

Spellings that are certainly one id get one form where a table is read (`plain`, `image_name`): 100.0 is 100. Other
spellings are a guess: P7 and p7. `similar` finds them.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from melanoma.common.errors import InputError, listing

WHOLE = re.compile(r"(-?[0-9]+)\.0+")
# Byte order mark, zero-width space, marks of direction, word joiner, soft hyphen; and full-width forms of ASCII.
SAME_CHARACTERS = dict.fromkeys(map(ord, "\ufeff\u200b\u200e\u200f\u2060\u00ad")) | {
    code + 0xFEE0: code for code in range(0x21, 0x7F)
}
FOLDERS = re.compile(r".*[/\\](?=.)", re.DOTALL)
SUFFIX = re.compile(r"(?<=.)\.(?:jpe?g|png|tiff?|webp|bmp|gif|hei[cf]|dcm)\Z", re.IGNORECASE)
BLANKS = re.compile(r"[\s_-]+")
DASHES = re.compile("[\u2010-\u2015\u2212]")
BETWEEN_KINDS = re.compile(r"(?<=[^\W\d])[-.](?=\d)|(?<=\d)[-.](?=[^\W\d])")  # between a letter and a digit
LEADING_ZEROS = re.compile(r"(?<![\d.])0+(?=\d)")


def plain(name: object) -> str:
    """Return a name as text in its canonical form.

    A whole number has no fraction: if one cell of a column is empty, pandas writes the whole numbers of the others with
    one. There are no blanks at the ends and no invisible characters. Each letter has its composed form (NFC).
    """
    text = f"{name:.1f}" if isinstance(name, float) and name.is_integer() else str(name)
    if not text.isascii():
        text = re.sub(r"\s", " ", unicodedata.normalize("NFC", text.translate(SAME_CHARACTERS)))
    text = text.strip()
    whole = WHOLE.fullmatch(text)
    return whole[1] if whole else text


def image_name(name: object) -> str:
    """Return the canonical name of an image: without folders and without a suffix such as .jpg."""
    text = plain(FOLDERS.sub("", plain(name)))
    while SUFFIX.search(text):
        text = plain(SUFFIX.sub("", text))
    return text


def plain_texts(column: pd.Series) -> pd.Series:
    """Return a column of names, of any type, as plain texts; a missing name stays missing."""
    return column.map(plain, na_action="ignore").astype("str")


def image_names(column: pd.Series) -> pd.Series:
    """Return a column of names of images, of any type, in their canonical form; a missing name stays missing."""
    return column.map(image_name, na_action="ignore").astype("str")


class Spelling(NamedTuple):
    """What stays of an id without upper case and compatible forms, without leading zeros, without separators."""

    text: str
    number: str
    compact: str


def spelling(name: str) -> Spelling:
    """Return the forms of a plain name by which spellings of one id are recognized."""
    text = name.casefold() if name.isascii() else DASHES.sub("-", unicodedata.normalize("NFKC", name).casefold())
    if not text.isalnum():
        text = BETWEEN_KINDS.sub("", BLANKS.sub("-", text).strip("-"))
    if "0" not in text:
        return Spelling(text, text, text.replace("-", ""))
    return Spelling(text, LEADING_ZEROS.sub("", text), LEADING_ZEROS.sub("", text.replace("-", "")))


def similar(names: Iterable[str]) -> pd.Series:
    """Return the number of its set for each plain name that may be another spelling of another one, by name.

    Such names differ in upper case, compatible Unicode forms, leading zeros, or blanks, hyphens and underscores. Two
    numbers with separators at different places (1-23 and 12-3) are different names. So are two names of equal length
    whose zeros are at different places: ids such as 0a01 and 00a1 are hexadecimal numbers.
    """
    unique = list(dict.fromkeys(names))
    table = pd.DataFrame(map(spelling, unique), columns=list(Spelling._fields), index=pd.Index(unique, dtype="str"))
    by_number = table[table["number"].duplicated(keep=False)]
    sets = by_number.assign(length=by_number["text"].str.len()).groupby("number")
    alike = (sets["text"].transform("nunique") < sets["text"].transform("size")) | (
        sets["length"].transform("nunique") > 1
    )
    by_compact = table[table["compact"].duplicated(keep=False)]
    divided = by_compact["number"].str.contains("-", regex=False).groupby(by_compact["compact"])
    separated = divided.transform("nunique") > 1
    links = pd.concat([by_number.loc[alike, "number"], "compact " + by_compact.loc[separated, "compact"]])
    name, names_found = pd.factorize(links.index)
    key, keys = pd.factorize(links)
    nodes = len(names_found) + len(keys)
    graph = coo_array((np.ones(len(links), bool), (name, len(names_found) + key)), shape=(nodes, nodes))
    numbers = connected_components(graph, directed=False)[1][: len(names_found)]
    return pd.Series(numbers, index=pd.Index(names_found, dtype="str"))


def require_known_spelling(names: pd.Series, known: pd.Series, path: object) -> None:
    """Raise InputError if a name of the table at `path` is none of the `known` ones, but similar to one of them."""
    strange = names[~names.isin(known)].dropna().drop_duplicates()
    found = pairs_of_similar(strange, known)
    if found:
        raise InputError(
            f"{path}: {len(found)} names of images are spelled in another way than in the tables of the sources:\n"
            f"{listing(f'{theirs!r}: is {ours!r} meant?' for theirs, ours in found.items())}\nSpell them as there"
        )


def pairs_of_similar(names: pd.Series, known: pd.Series) -> dict[str, str]:
    """Return for each of `names` a similar one of `known`, if there is any."""
    if names.empty:
        return {}
    sets = similar([*names, *known.dropna()])
    ours = sets[sets.index.isin(known)]
    ours = pd.Series(ours.index, index=ours.to_numpy())
    theirs = sets[sets.index.isin(names)]
    found = theirs.map(ours[~ours.index.duplicated()]).dropna()
    return {name: text for name, text in found.items() if name != text}
