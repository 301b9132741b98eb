"""The meaning of words of a table that the vocabulary lacks, as far as it can be guessed."""

import re

import pandas as pd

from melanoma.tables.vocabulary import VOCABULARIES, harmonize, propose

Meaning = str | int | None
SEXES = {
    "male": ("m", "man", "men", "boy", "homme", "hombre", "maschio", "masculino", "männlich", "mann"),
    "female": ("f", "w", "woman", "women", "girl", "femme", "mujer", "femmina", "femenino", "feminino", "weiblich"),
}
TARGETS = {
    1: ("1", "true", "yes", "y", "positive", "pos", "+", "malignant", "melanoma", "mel"),
    0: ("0", "false", "no", "n", "negative", "neg", "-", "benign", "other", "control", "nevus", "naevus"),
}
SEX_OF = {alias: word for word, aliases in SEXES.items() for alias in aliases}
TARGET_OF = {alias: number for number, aliases in TARGETS.items() for alias in aliases}
TARGET_OF |= {f"{no}{mark}melanoma": 0 for no in ("non", "no", "not") for mark in ("", "-", "_", " ")}
DOUBTFUL = {"malignant": "is every malignant lesion here a melanoma? A carcinoma is 0"}
AGE = re.compile(r"(\d{1,3})(?:\.\d+)?\s*(?:\+|years?|yrs?|y|jahre|ans|años)?\.?", re.IGNORECASE)


def meanings(column: str, texts: pd.Series) -> dict[str, Meaning]:
    """Return a meaning of each word of one of our columns that cannot be read as it is; None if no meaning is near."""
    words = list(texts.dropna().unique())
    if column == "target":
        return {word: TARGET_OF.get(word.lower()) for word in words if not _is_number(word, (0, 1))}
    if column == "age":
        return {word: _age(word) for word in words if not _is_number(word) and word.lower() != "unknown"}
    if column not in VOCABULARIES:
        return {}
    unknown = list(texts[~harmonize(texts, column)["known"]].unique())
    proposed = propose(unknown, column)
    own = SEX_OF if column == "sex" else {}
    return {word: own.get(word.lower()) or proposed.get(word) for word in unknown}


def share_known(column: str, texts: pd.Series) -> float:
    """Return the share of the cells that have a text, and whose text is a word of one of our columns; 0 if none has."""
    given = texts.dropna()
    if given.empty:
        return 0.0
    if column == "target":
        return float(given.str.lower().isin(list(TARGET_OF)).mean()) if given.nunique() <= 3 else 0.0
    if column == "age":
        ages = pd.to_numeric(given.map(lambda text: _age(text)), errors="coerce")
        return float(ages.between(0, 120).mean())
    words = harmonize(given, column)
    ours = words["word"].notna() | given.str.lower().isin(list(SEX_OF) if column == "sex" else [])
    if column == "diagnosis":  # as in other languages
        ours |= given.str.lower().str.contains("melanom|carcinom|karzinom")
    other = given[~(words["known"] & words["word"].isna())]  # a text that means unknown says nothing of the column
    return float(ours[other.index].mean()) if len(other) else 0.0


def _is_number(text: str, allowed: tuple[float, ...] = ()) -> bool:
    try:
        number = float(text)
    except ValueError:
        return False
    return not allowed or number in allowed


def _age(text: str) -> int | None:
    match = AGE.fullmatch(text.strip())
    return int(match[1]) if match else None
