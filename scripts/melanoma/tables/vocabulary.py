"""The words of the catalog for diagnosis, site and sex, and their other names."""

import csv
import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from melanoma.tables.identifiers import plain

MELANOMA = "melanoma"
UNKNOWN = "unknown"

# Our word, then its other names. Words are compared in lower case. UNKNOWN becomes a missing value.
DIAGNOSES = {
    MELANOMA: (
        "mel",
        "malignant melanoma",
        "melanoma, nos",
        "melanoma nos",
        "melanoma in situ",
        "melanoma (in situ)",
        "melanoma invasive",
        "melanoma metastasis",
        "metastatic melanoma",
        "melanoma (less than 0.76 mm)",
        "melanoma (0.76 to 1.5 mm)",
        "melanoma (more than 1.5 mm)",
        "superficial spreading melanoma",
        "superficial spreading melanoma ssm",
        "nodular melanoma",
        "acral lentiginous melanoma",
        "lentigo maligna",
        "lentigo maligna melanoma",
    ),
    "nevus": (
        "nv",
        "nev",
        "naevus",
        "melanocytic nevus",
        "melanocytic nevi",
        "nevocytic nevus",
        "benign nevus",
        "common nevus",
        "atypical nevus",
        "nevus, nos",
        "nevus, atypical, dysplastic, or clark",
        "nevus, congenital",
        "nevus, blue",
        "nevus, spitz",
        "nevus, combined",
        "blue nevus",
        "spitz nevus",
        "reed nevus",
        "reed or spitz nevus",
        "clark nevus",
        "congenital nevus",
        "combined nevus",
        "dermal nevus",
        "recurrent nevus",
        "halo nevus",
        "dysplastic nevus",
    ),
    "atypical melanocytic proliferation": ("amp", "aimp", "atypical intraepithelial melanocytic proliferation"),
    "seborrheic keratosis": ("sk", "sek", "seborrhoeic keratosis", "seborrheic_keratosis"),
    "lichenoid keratosis": ("lplk", "lichen planus-like keratosis", "lichen planus like keratosis"),
    "solar lentigo": ("actinic lentigo", "solar or actinic lentigo"),
    "lentigo NOS": ("lentigo", "lentigo simplex"),
    "benign keratosis": ("bkl", "pigmented benign keratosis", "benign keratosis-like lesion"),
    "cafe-au-lait macule": ("café-au-lait macule",),
    "dermatofibroma": ("df",),
    "vascular lesion": (
        "vasc",
        "vascular",
        "hemangioma",
        "angioma",
        "angiokeratoma",
        "pyogenic granuloma",
        "granuloma pyogenic",
        "port wine stain",
        "telangiectases",
    ),
    "other benign": (
        "adnexal tumor",
        "angiofibroma or fibrous papule",
        "acrochordon",
        "mucosal melanosis",
        "melanosis",
    ),
    "actinic keratosis": (
        "ak",
        "ack",
        "akiec",
        "solar or actinic keratosis",
        "actinic keratoses",
        "bowen's disease",
        "actinic keratosis or intraepithelial carcinoma",
    ),
    "basal cell carcinoma": ("bcc", "basal cell carcinoma morpheiform", "solid cystic basal cell carcinoma"),
    "squamous cell carcinoma": ("scc", "squamous cell carcinoma, nos", "squamous cell carcinoma in situ"),
    "other malignant": (),
    # A table may say no more than these. Their diagnosis is missing; only malignant may be a melanoma or not.
    "benign": (),
    "indeterminate": (),
    "malignant": (),
    UNKNOWN: ("unk", "none of the others"),
}
WITHOUT_DIAGNOSIS = ("benign", "indeterminate", "malignant")
INDETERMINATE = frozenset({"indeterminate", "atypical melanocytic proliferation", "actinic keratosis"})
MALIGNANT = frozenset({MELANOMA, "basal cell carcinoma", "squamous cell carcinoma", "other malignant", "malignant"})
OTHER_CANCERS = MALIGNANT - {MELANOMA, "malignant"}
BENIGN = frozenset(DIAGNOSES) - INDETERMINATE - MALIGNANT - {UNKNOWN}  # no table may call these malignant
SITES = {
    "head/neck": ("head and neck", "head neck", "head & neck", "face", "scalp", "ear", "neck"),
    "torso": ("anterior torso", "posterior torso", "lateral torso", "trunk", "back", "chest", "abdomen"),
    "upper extremity": ("hand", "arm", "upper limb", "upper limbs"),
    "lower extremity": ("foot", "leg", "lower limb", "lower limbs", "buttocks"),
    "palms/soles": ("palms and soles", "acral", "palms", "soles"),
    "oral/genital": ("oral and genital", "genital", "genital areas"),
    UNKNOWN: (),
}
SEXES: dict[str, tuple[str, ...]] = {"male": (), "female": (), UNKNOWN: ()}
VOCABULARIES = {"diagnosis": DIAGNOSES, "site": SITES, "sex": SEXES}

# The words of the ISIC archive form levels, such as Benign:Benign melanocytic proliferations:Nevus:Nevus, Spitz. Our
# word for such a branch and all below it, unless a longer entry says otherwise.
BRANCHES = {
    "diagnosis": {
        "Benign": "other benign",
        "Benign:Benign epidermal proliferations:Lichen planus like keratosis": "lichenoid keratosis",
        "Benign:Benign epidermal proliferations:Pigmented benign keratosis": "benign keratosis",
        "Benign:Benign epidermal proliferations:Seborrheic keratosis": "seborrheic keratosis",
        "Benign:Benign epidermal proliferations:Solar lentigo": "solar lentigo",
        "Benign:Benign melanocytic proliferations:Lentigo simplex": "lentigo NOS",
        "Benign:Benign melanocytic proliferations:Nevus": "nevus",
        "Benign:Benign soft tissue proliferations - Fibro-histiocytic:Dermatofibroma": "dermatofibroma",
        "Benign:Benign soft tissue proliferations - Vascular": "vascular lesion",
        "Benign:Flat melanotic pigmentations - not melanocytic nevus:Cafe au lait macule or patch": (
            "cafe-au-lait macule"
        ),
        "Benign:Flat melanotic pigmentations - not melanocytic nevus:Lentigo NOS": "lentigo NOS",
        "Indeterminate": "indeterminate",
        "Indeterminate:Indeterminate epidermal proliferations": "actinic keratosis",
        "Indeterminate:Indeterminate melanocytic proliferations": "atypical melanocytic proliferation",
        "Malignant": "other malignant",
        "Malignant:Collision - At least one malignant proliferation": "malignant",
        "Malignant:Malignant adnexal epithelial proliferations - Follicular:Basal cell carcinoma": (
            "basal cell carcinoma"
        ),
        "Malignant:Malignant epidermal proliferations:Keratoacanthoma": "squamous cell carcinoma",
        "Malignant:Malignant epidermal proliferations:Squamous cell carcinoma in situ": "squamous cell carcinoma",
        "Malignant:Malignant epidermal proliferations:Squamous cell carcinoma, Invasive": "squamous cell carcinoma",
        "Malignant:Malignant epidermal proliferations:Squamous cell carcinoma, NOS": "squamous cell carcinoma",
        "Malignant:Malignant epidermal proliferations:Verrucous carcinoma": "squamous cell carcinoma",
        "Malignant:Malignant melanocytic proliferations (Melanoma)": MELANOMA,
    },
    "site": {
        "Head and neck": "head/neck",
        "Head and neck:Head:Face:Mouth": "oral/genital",
        "Trunk": "torso",
        "Upper extremity": "upper extremity",
        "Upper extremity:Hand:Palm of hand": "palms/soles",
        "Lower extremity": "lower extremity",
        "Lower extremity:Foot:Sole of foot": "palms/soles",
        "Anogenital region": "oral/genital",
    },
}
# Branches that have a nevus or another diagnosis of ours below them say no more than benign.
GROUPS = {
    "Benign": "benign",
    "Benign:Benign epidermal proliferations": "benign",
    "Benign:Benign melanocytic proliferations": "benign",
    "Benign:Benign soft tissue proliferations - Fibro-histiocytic": "benign",
    "Benign:Collision - Only benign proliferations": "benign",
    "Benign:Flat melanotic pigmentations - not melanocytic nevus": "benign",
    "Malignant": "malignant",
}
SEARCHED = 100  # unknown words of a column for which the nearest word is searched; more of them are a wrong column
# A hint needs this similarity: a typing error. What may be malignant needs more: melanocytoma is no melanoma.
NEAR, NEAR_MALIGNANT, MARGIN = 0.8, 0.88, 0.1
ALL_OTHERS = "*"
# An age such as "85+".
AT_LEAST = r"(\d+) ?\+"


def _known(column: str) -> dict[str, str]:
    """Map every word of a column, in lower case, to our word."""
    branches = BRANCHES.get(column, {})
    known = {}
    folder = Path(__file__).parent
    with (folder / "archive_vocabulary.csv").open() as file:
        paths = [path for name, path in csv.reader(line for line in file if line[0] != "#") if name == column]
    for path in paths:
        levels = path.split(":")
        above = [":".join(levels[:depth]) for depth in range(len(levels), 0, -1)]
        known[levels[-1].lower()] = GROUPS.get(path) or next(branches[part] for part in above if part in branches)
    if column == "diagnosis":
        words = (folder / "other_benign.txt").read_text().splitlines()
        known |= dict.fromkeys(words[1:], "other benign")
    for ours, aliases in VOCABULARIES[column].items():
        known |= dict.fromkeys((ours.lower(), *aliases), ours)
    return known


KNOWN = {column: _known(column) for column in VOCABULARIES}


def harmonize(texts: pd.Series, column: str) -> pd.DataFrame:
    """Translate the texts of diagnosis, site or sex; return the columns word, known and alias.

    A text may have levels, from general to special, joined by colons: the most special known level counts. Levels that
    contradict each other are no known text. word: our word, None if the text is missing, means unknown or is not in the
    vocabulary. known: the text is missing or in the vocabulary. alias: the text is another name of our word.
    """
    words = {text: _word(text, column) for text in texts.dropna().unique()}
    known = {text: word for text, word in words.items() if word}
    ours = {name.lower() for name in VOCABULARIES[column]}
    return pd.DataFrame(
        {
            "word": texts.map({text: None if word == UNKNOWN else word for text, word in known.items()}).astype("str"),
            "known": texts.isna() | texts.isin(list(known)),
            "alias": texts.isin([text for text in known if text.lower() not in ours]),
        }
    )


def contradiction(text: str) -> str | None:
    """Return what the levels of a diagnosis say against each other, None if they agree."""
    words = {level: KNOWN["diagnosis"].get(level.strip().lower()) for level in text.split(":")}
    kinds = {kind: level for level, word in words.items() if (kind := _kind(word))}
    special = {level for level, word in words.items() if word in OTHER_CANCERS}
    if len(kinds) > 1:
        return " and ".join(f"{level!r} is {kind}" for kind, level in sorted(kinds.items()))
    if special and MELANOMA in words.values():
        return f"{special.pop()!r} is no melanoma"
    return None


def replace(texts: pd.Series, column: str, meanings: Mapping[Any, Any]) -> pd.Series:
    """Give words of a table their meaning under `values` of the source, in upper or lower case.

    A key is a word, a level of a text of levels, "" for an empty cell, or "*" for all words that neither another key
    nor the vocabulary has. A meaning of None makes a cell missing. A word with melanoma in it is never one of "*".
    """
    lower = {plain(str(text).strip()).lower(): None if word is None else str(word) for text, word in meanings.items()}

    def meaning(text: str) -> str | None:
        for level in (text, *reversed(text.split(":"))):
            if level.lower() in lower:
                return lower[level.lower()]
        if ALL_OTHERS not in lower or _is_value(text, column) or "melanom" in text.lower():
            return text
        return lower[ALL_OTHERS]

    texts = texts.map({text: meaning(text) for text in texts.dropna().unique()}).astype("str")
    return texts.fillna(lower[""]) if lower.get("") is not None else texts


def names_cancers(texts: pd.Series) -> bool:
    """Tell whether a column has diagnoses of ours, a cancer that is no melanoma among them."""
    words = [KNOWN["diagnosis"].get(text.rpartition(":")[2].lower()) for text in texts.dropna().unique()[:SEARCHED]]
    return any(word in OTHER_CANCERS for word in words) and words.count(None) < len(words) / 2


def nearest(texts: Iterable[str], column: str) -> dict[str, str]:
    """Map texts to the nearest word of the vocabulary; a text without a certain one is left out.

    No hint leads from benign to malignant or from one site to another: words nearly as near must mean the same.
    """
    hints = {text: _nearest(text.lower(), column) for text in list(texts)[:SEARCHED]}
    return {text: hint for text, hint in hints.items() if hint}


def propose(texts: Iterable[str], column: str) -> dict[str, str | int | None]:
    """Propose a meaning for each word that the vocabulary lacks: the nearest word, else what the word looks like.

    The age of a word is missing. A target of which nothing is certain is left out, and so is a column of very many
    words: it is a wrong one.
    """
    texts = list(texts)
    if len(texts) > SEARCHED:
        return {}
    if column == "age":
        return dict.fromkeys(texts)
    if column == "target":
        words = {text: _word(text, "diagnosis") or _nearest(text.lower(), "diagnosis") for text in texts}
        return {text: int(word in (MELANOMA, "malignant")) for text, word in words.items() if word and word != UNKNOWN}
    near = nearest(texts, column)
    return {text: near.get(text) or _guess(text.lower(), column) for text in texts}


def _word(text: str, column: str) -> str | None:
    """Return our word for a text, None if it is unknown or contradicts itself."""
    known = KNOWN[column]
    if column == "diagnosis" and contradiction(text):
        return None
    words = [known.get(level.strip().lower()) for level in (text, *reversed(text.split(":")))]
    told = [word for word in words if word]
    return next((word for word in told if word != UNKNOWN), told[0] if told else None)


def _kind(word: str | None) -> str | None:
    """Return what a diagnosis of ours is: benign, indeterminate or malignant; None if unknown."""
    kinds = {"benign": BENIGN, "indeterminate": INDETERMINATE, "malignant": MALIGNANT}
    return next((kind for kind, words in kinds.items() if word in words), None)


def _is_value(text: str, column: str) -> bool:
    if column in VOCABULARIES:
        return bool(_word(text, column) or (column == "diagnosis" and contradiction(text)))
    return bool(pd.notna(pd.to_numeric(text, errors="coerce")))


def _nearest(text: str, column: str) -> str | None:
    known = KNOWN[column]
    near = difflib.get_close_matches(text, known, n=20, cutoff=NEAR - MARGIN)
    if not near:
        return None
    similarity = {match: difflib.SequenceMatcher(None, match, text).ratio() for match in near}
    best = known[near[0]]
    rivals = [match for match in near if similarity[match] > similarity[near[0]] - MARGIN]
    if column == "diagnosis":
        agree = len({_kind(known[match]) for match in rivals}) == 1
        cutoff = NEAR if best in BENIGN else NEAR_MALIGNANT
    else:
        agree = len({known[match] for match in rivals}) == 1
        cutoff = NEAR
    return best if agree and similarity[near[0]] >= cutoff else None


def _guess(text: str, column: str) -> str:
    if column != "diagnosis":
        return {"m": "male", "man": "male", "f": "female", "w": "female", "woman": "female"}.get(text, UNKNOWN)
    if "melanom" in text:
        return MELANOMA
    malignant = any(part in text for part in ("carcinom", "sarcom", "lymphom", "malign"))
    return "other malignant" if malignant else "other benign"
