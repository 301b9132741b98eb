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

from melanoma.common.errors import InputError, listing

WHOLE = re.compile(r"(-?[0-9]+)\.0+")
# Byte order mark, zero-width space, marks of direction, word joiner, soft hyphen; and full-width forms of ASCII.
SAME_CHARACTERS = dict.fromkeys(map(ord, "\ufeff\u200b\u200e\u200f\u2060\u00ad")) | {
    code + 0xFEE0: code for code in range(0x21, 0x7F)
}
# Control characters, with tabs and the ends of lines, and marks that turn the direction of all that is written after.
UNPRINTABLE = "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
SUFFIXES = {"jpg", "jpeg", "png", "tif", "tiff", "webp", "bmp", "gif", "heic", "heif", "dcm"}
BLANKS = re.compile(r"[\s_-]+")
DASHES = re.compile("[\u2010-\u2015\u2212]")
BETWEEN_KINDS = re.compile(r"(?<=[^\W\d])[-.](?=\d)|(?<=\d)[-.](?=[^\W\d])")  # between a letter and a digit
SHAPE = str.maketrans("0123456789", "9" * 10)
LETTERS = str.maketrans("", "", "0123456789-_. \t\n")
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
    whole = WHOLE.fullmatch(text) if text.endswith("0") else None
    return whole[1] if whole else text


def image_name(name: object) -> str:
    """Return the canonical name of an image: without folders and without a suffix such as .jpg."""
    text = plain(name)
    if "/" in text or "\\" in text:
        text = plain(re.split(r"[/\\](?=.)", text)[-1])
    stem, _, suffix = text.rpartition(".")
    while stem and suffix.lower() in SUFFIXES:
        text = plain(stem)
        stem, _, suffix = text.rpartition(".")
    return text


def printable(name: object) -> str:
    """Return a name as text for a message: between quotes, with escapes, if a terminal would not show it as it is."""
    return str(name) if str(name).isprintable() else ascii(name)


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
    text = _folded(name)
    if not text.isalnum():
        text = BETWEEN_KINDS.sub("", BLANKS.sub("-", text).strip("-"))
    compact = text.replace("-", "")
    if "0" not in text:
        return Spelling(text, text, compact)
    return Spelling(text, LEADING_ZEROS.sub("", text), LEADING_ZEROS.sub("", compact))


def similar(names: Iterable[str]) -> pd.Series:
    """Return the number of its set for each plain name that may be another spelling of another one, by name.

    Such names differ in upper case, compatible Unicode forms, leading zeros, or blanks, hyphens and underscores. Two
    numbers with separators at different places (1-23 and 12-3) are different names. So are two names of equal length
    whose zeros are at different places: ids such as 0a01 and 00a1 are hexadecimal numbers.
    """
    unique = _suspects(list(dict.fromkeys(names)))
    if not unique:
        return pd.Series([], dtype="int32", index=pd.Index([], dtype="str"))
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
    # Imported here, because the import takes longer than most scripts that read an id.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(links), bool), (name, len(names_found) + key)), shape=(nodes, nodes))
    numbers = connected_components(graph, directed=False)[1][: len(names_found)]
    return pd.Series(numbers, index=pd.Index(names_found, dtype="str"))


def _folded(name: str) -> str:
    return name.casefold() if name.isascii() else DASHES.sub("-", unicodedata.normalize("NFKC", name).casefold())


def _suspects(names: list[str]) -> list[str]:
    """Return the names that may have a similar one. This saves nearly all of the time for ids of one format.

    Similar names have the same letters. If those with the same letters also have their digits and separators at the
    same places, only upper case can differ.
    """
    folded = pd.Series([_folded(name) for name in names], dtype="str")
    letters, shapes = (pd.Series([text.translate(map_) for text in folded], dtype="str") for map_ in (LETTERS, SHAPE))
    several = shapes.groupby(letters).transform("nunique") > 1
    suspect = several | folded.duplicated(keep=False)
    return [name for name, is_suspect in zip(names, suspect, strict=True) if is_suspect]


def as_known(names: pd.Series, known: pd.Series, similar_ids: str, path: object) -> pd.Series:
    """Return `names` of images of the table at `path`, those that are similar to a known image as that one.

    `similar_ids` is same. If it is different, all names stay. If it is fail, raises InputError that lists such names.
    """
    strange = names[~names.isin(known)].dropna()
    if strange.empty or similar_ids == "different":
        return names
    sets = similar([*strange, *known.dropna()])
    is_known = sets.index.isin(known)
    ours = pd.Series(sets.index[is_known], index=sets[is_known])
    meant = sets[~is_known].map(ours[~ours.index.duplicated()]).dropna()
    if len(meant) and similar_ids == "fail":
        shown = listing(f"{theirs!r}: is {name!r} meant?" for theirs, name in meant.items())
        raise InputError(
            f"{path}: names of images that the tables of the sources may spell in another way:\n{shown}\n"
            "Spell them as there. For a table of a source, similar_ids may say instead what they are"
        )
    return names.map(meant.astype("str")).astype("str").fillna(names)
