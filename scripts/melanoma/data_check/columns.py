"""Finds the columns of any table by their names and their content."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from melanoma.data_check.words import TARGET_OF, share_known

Columns = Mapping[str, pd.Series]
# The words that a column's name may have, the best first, in the order in which the columns are looked for.
NAMES = {
    ours: names.split()
    for ours, names in {
        "target": "target label melanoma malignant malignancy class outcome truth y mel",
        "sex": "sex gender geschlecht sexe sexo sesso",
        "age": "age alter edad idade eta years",
        "site": "site localization localisation location lokalisation anatom anatomical region sede body position area"
        " körperstelle koerperstelle stelle localizacion localização",
        "diagnosis": "diagnosis diagnostic diagnose dx histology histopathology pathology disease diagnostico label"
        " histologie befund diagnostik istologia histologia"
        " class condition lesion",
        "lesion": "lesion lesionid mole tumor tumour nevus läsion laesion",
        "patient": "patient patientid pat patid subject person participant mrn paciente pid case fall id",
    }.items()
}
# Words of a name that make it another thing: the size of a lesion, the age of a patient, a history of melanoma.
OTHER_THINGS = {
    "target": {"history", "family", "previous", "type"},
    "lesion": {"size", "diameter", "type", "area", "width", "height", "thickness", "color", "count", "site", "class"},
    "patient": {"age", "sex", "gender", "history", "count", "image", "lesion", "name"},
}
# Least share of the cells that are words of the column, if its name says so and if it does not.
LEAST_SHARE = {"target": (1.0, 1.0), "sex": (0.5, 0.9), "age": (0.8, 2), "site": (0.3, 0.8), "diagnosis": (0.2, 0.8)}
UNNAMED_TARGETS = {"malignant", "benign", "melanoma"}


@dataclass
class Found:
    """Columns of a table: `columns` maps ours to theirs; `notes` says by our column what is doubtful."""

    columns: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


def find_columns(table: Columns, image: str) -> Found:
    """Return the table's columns for ours. `image` is the column of image names."""
    found = Found({"image": image})
    for ours in NAMES:
        free = {name: texts for name, texts in table.items() if name not in found.columns.values()}
        ranks = {name: _rank(ours, name, texts) for name, texts in free.items()}
        candidates = sorted((name for name in ranks if ranks[name]), key=lambda name: -ranks[name])
        if ours == "lesion" and candidates and (patient := _patient(free)) and candidates[0] != patient:
            numbers_restart = table[patient].groupby(table[candidates[0]]).nunique().gt(1).mean() > 0.5
            if numbers_restart:
                found.notes["patient"] = f"several patients have the same {candidates[0]}, so it is no lesion"
                candidates = candidates[1:]
        if candidates:
            found.columns[ours] = candidates[0]
        if len(candidates) > 1:
            found.notes[ours] = f"or {' or '.join(candidates[1:4])}"
        if ours == "target" and "malign" in found.columns.get(ours, "").lower():
            found.notes[ours] = "is 1 here always a melanoma? A carcinoma is 0"
    return found


def find_image_column(table: Columns, images: set[str]) -> tuple[str | None, float]:
    """Return the column whose cells are names of `images`, lower-case without suffixes, and the share that are.

    Without images, the name of the column decides; the share is 0.
    """
    if not images:
        names = [name for name in table if {"image", "img", "file", "filename", "isic"} & set(parts(name))]
        return (names[0] if names else None), 0.0
    shares = {name: float(texts.dropna().map(image_key).isin(images).mean()) for name, texts in table.items()}
    shares = {name: share for name, share in shares.items() if share > 0}
    best = max(shares, key=shares.__getitem__, default=None)
    return best, shares[best] if best else 0.0


def image_key(name: str) -> str:
    """Return the name of an image file or cell, in lower case, without folders and suffix."""
    return re.sub(r"\.(jpe?g|png|tiff?|bmp|webp|dcm)\Z", "", re.split(r"[/\\]", name.strip())[-1].lower())


def parts(name: str) -> list[str]:
    """Return the words of a column's name in lower case: PatientID and patient_id are patient and id."""
    words = re.findall(r"[^\W\d_]+", re.sub(r"([a-zà-ÿ])([A-Z])", r"\1 \2", name))
    return [word.lower() for word in words]


def _patient(free: Columns) -> str | None:
    ranks = {name: _rank("patient", name, texts) for name, texts in free.items()}
    best = max(ranks, key=ranks.__getitem__, default=None)
    return best if best and ranks[best] else None


def _rank(ours: str, name: str, texts: pd.Series) -> float:
    """Return how well a column of the table fits ours; 0 if it does not."""
    words = parts(name)
    if OTHER_THINGS.get(ours, set()) & set(words) or (texts.nunique() < 2 and ours not in ("sex", "site", "age")):
        return 0.0
    places = [NAMES[ours].index(word) for word in words if word in NAMES[ours]]
    named = (1 - min(places) / 100 - len(words) / 1000) if places else 0.0
    if ours not in LEAST_SHARE:
        return named
    share = share_known(ours, texts)
    least = LEAST_SHARE[ours][0 if named else 1]
    if ours == "target" and not named:
        least = 1.0 if UNNAMED_TARGETS & set(texts.dropna().str.lower()) else 2
    if ours == "target" and {TARGET_OF.get(text) for text in texts.dropna().str.lower()} != {0, 1}:
        return 0.0
    return named * 2 + share if share >= least else 0.0
