"""The common words for diagnosis, site and sex, and what the sources call them."""

import difflib
from collections.abc import Iterable

import pandas as pd

MELANOMA = "melanoma"
UNKNOWN = "unknown"

# Our word, then what else it is called. Words are compared in lower case; UNKNOWN becomes missing.
DIAGNOSES = {
    MELANOMA: (
        "mel",
        "malignant melanoma",
        "melanoma, nos",
        "melanoma nos",
        "melanoma in situ",
        "melanoma invasive",
        "melanoma metastasis",
        "lentigo maligna",
    ),
    "nevus": (
        "nv",
        "naevus",
        "melanocytic nevus",
        "melanocytic nevi",
        "benign nevus",
        "nevus, nos",
        "nevus, atypical, dysplastic, or clark",
        "nevus, congenital",
        "nevus, blue",
        "nevus, spitz",
        "nevus, combined",
        "blue nevus",
        "spitz nevus",
        "congenital nevus",
        "combined nevus",
        "dysplastic nevus",
    ),
    "atypical melanocytic proliferation": ("amp", "atypical intraepithelial melanocytic proliferation"),
    "seborrheic keratosis": ("sk", "seborrhoeic keratosis", "seborrheic_keratosis"),
    "lichenoid keratosis": ("lplk", "lichen planus-like keratosis", "lichen planus like keratosis"),
    "solar lentigo": ("actinic lentigo", "solar or actinic lentigo"),
    "lentigo NOS": ("lentigo", "lentigo simplex"),
    "benign keratosis": ("bkl", "pigmented benign keratosis", "benign keratosis-like lesion"),
    "cafe-au-lait macule": ("café-au-lait macule",),
    "dermatofibroma": ("df",),
    "vascular lesion": ("vasc", "vascular", "hemangioma", "angioma", "angiokeratoma", "pyogenic granuloma"),
    "actinic keratosis": (
        "ak",
        "akiec",
        "solar or actinic keratosis",
        "actinic keratoses",
        "bowen's disease",
        "actinic keratosis or intraepithelial carcinoma",
    ),
    "basal cell carcinoma": ("bcc",),
    "squamous cell carcinoma": ("scc", "squamous cell carcinoma, nos", "squamous cell carcinoma in situ"),
    UNKNOWN: ("unk", "none of the others"),
}
# Those that no table may call malignant.
BENIGN = frozenset(DIAGNOSES) - {
    MELANOMA,
    UNKNOWN,
    "atypical melanocytic proliferation",
    "actinic keratosis",
    "basal cell carcinoma",
    "squamous cell carcinoma",
}
SITES = {
    "head/neck": ("head and neck", "face", "scalp", "ear", "neck"),
    "torso": ("anterior torso", "posterior torso", "lateral torso", "trunk", "back", "chest", "abdomen"),
    "upper extremity": ("hand", "arm"),
    "lower extremity": ("foot", "leg"),
    "palms/soles": ("palms and soles", "acral"),
    "oral/genital": ("oral and genital", "genital"),
    UNKNOWN: (),
}
SEXES = {"male": (), "female": (), UNKNOWN: ()}
VOCABULARIES = {"diagnosis": DIAGNOSES, "site": SITES, "sex": SEXES}
SEARCHED = 100  # a column with more unknown words than this is the wrong column: no need to look for what each meant


def harmonize(texts: pd.Series, vocabulary: dict[str, tuple[str, ...]]) -> pd.DataFrame:
    """Translate `texts`; columns word (ours, None where missing, unknown or not of the vocabulary), known, alias.

    known is False where the text is not of the vocabulary; alias True where the text is another name for our word.
    """
    ours = {name.lower(): name for name in vocabulary}
    others = {alias: name for name, aliases in vocabulary.items() for alias in aliases}
    words = {text: (ours | others).get(text.lower()) for text in texts.dropna().unique()}
    found = {text: word for text, word in words.items() if word}
    return pd.DataFrame(
        {
            "word": texts.map({text: None if word == UNKNOWN else word for text, word in found.items()}).astype("str"),
            "known": texts.isna() | texts.isin(list(found)),
            "alias": texts.isin([text for text in found if text.lower() in others]),
        }
    )


def nearest(texts: Iterable[str], vocabulary: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Map each text to our word that was probably meant, those left out where none is near."""
    ours = {name.lower(): name for name in vocabulary}
    ours |= {alias: name for name, aliases in vocabulary.items() for alias in aliases}
    found = {text: difflib.get_close_matches(text.lower(), ours, n=1) for text in list(texts)[:SEARCHED]}
    return {text: ours[match[0]] for text, match in found.items() if match}
