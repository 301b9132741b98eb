"""The words of the catalog for diagnosis, site and sex, and their other names."""

import difflib
from collections.abc import Iterable

import pandas as pd

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
# No table may call these malignant.
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
SEXES: dict[str, tuple[str, ...]] = {"male": (), "female": (), UNKNOWN: ()}
VOCABULARIES = {"diagnosis": DIAGNOSES, "site": SITES, "sex": SEXES}
SEARCHED = 100  # unknown words of a column for which the nearest word is searched; more of them are a wrong column


def harmonize(texts: pd.Series, vocabulary: dict[str, tuple[str, ...]]) -> pd.DataFrame:
    """Translate `texts`; return the columns word, known and alias.

    word: our word, None if the text is missing, means unknown or is not in the vocabulary. known: the text is missing
    or in the vocabulary. alias: the text is another name of our word.
    """
    ours = {name.lower(): name for name in vocabulary}
    others = {alias: name for name, aliases in vocabulary.items() for alias in aliases}
    words = {text: (ours | others).get(text.lower()) for text in texts.dropna().unique()}
    known = {text: word for text, word in words.items() if word}
    return pd.DataFrame(
        {
            "word": texts.map({text: None if word == UNKNOWN else word for text, word in known.items()}).astype("str"),
            "known": texts.isna() | texts.isin(list(known)),
            "alias": texts.isin([text for text in known if text.lower() in others]),
        }
    )


def nearest(texts: Iterable[str], vocabulary: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Map texts to the nearest word of the vocabulary; a text without a near word is left out."""
    ours = {name.lower(): name for name in vocabulary}
    ours |= {alias: name for name, aliases in vocabulary.items() for alias in aliases}
    matches = {text: difflib.get_close_matches(text.lower(), ours, n=1) for text in list(texts)[:SEARCHED]}
    return {text: ours[match[0]] for text, match in matches.items() if match}
