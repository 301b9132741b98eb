"""Draws a simulated study: patients, metadata and images, in the layout of the real data.

The risk of an image is sigmoid(intercept + pixel_signal * s + relative_signal * d + metadata_signal * m). The pixel
score s is standard normal and sets how the lesion looks. It is s = sqrt(r) * p + sqrt(1 - r) * d, where r is
within_patient_correlation, p is the same for all images of a patient, and d is the contrast within the patient; p and d
are standard normal. The metadata score m is a function of age, sex and site in the table. So the best AUROC of any
model is known: from the pixels, from the metadata, and from both with the other images of the patient.
"""

import math
import shutil
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from statistics import NormalDist
from typing import Any, TypedDict

import cv2
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from melanoma.common.cli import progress
from melanoma.common.errors import InputError
from melanoma.common.files import digest_file, sha256
from melanoma.config.data import Generate
from melanoma.demo.images import draw_photograph
from melanoma.stats.log_odds import logit, sigmoid
from melanoma.stats.metrics import auroc

Floats = NDArray[np.float64]
AGES = np.arange(15.0, 95.0, 5.0)
AGE_CHANCES = np.exp(-(((AGES - 50) / 16) ** 2) / 2)
SEX_SCORES = {"male": 0.35, "female": -0.35}
SITE_CHANCES = {
    "torso": 0.44,
    "lower extremity": 0.26,
    "upper extremity": 0.15,
    "head/neck": 0.12,
    "palms/soles": 0.02,
    "oral/genital": 0.01,
}
SITE_SCORES = {
    "torso": 0.2,
    "lower extremity": -0.7,
    "upper extremity": -0.1,
    "head/neck": 0.9,
    "palms/soles": -0.9,
    "oral/genital": 0.5,
}
MISSING = {"age": 0.02, "sex": 0.02, "site": 0.03}
SIZES = [(640, 480), (1024, 768), (1872, 1053), (480, 640), (768, 1024), (6000, 4000)]  # width, height in pixels
SIZE_CHANCES = [0.66, 0.12, 0.05, 0.11, 0.05, 0.01]
MOST_IMAGES_OF_A_PATIENT = 15
NODES = 31  # of the numerical integral over the part of the look that s does not determine


class Aurocs(TypedDict):
    """The AUROC of the log-odds, of the pixel score and of the metadata score."""

    joint: float
    image: float
    metadata: float


class BayesAurocs(TypedDict):
    """The best possible AUROCs: of the population, and of the same scores for the cohort that was drawn."""

    population: Aurocs
    cohort: Aurocs


class Truth(TypedDict):
    """What is known of a cohort; `margin` is what the population's joint AUROC gains over the better single one."""

    settings: dict[str, float]
    images: int
    patients: int
    melanomas: int
    bayes_auroc: BayesAurocs
    margin: float


def metadata_score(age: pd.Series, sex: pd.Series, site: pd.Series) -> Floats:
    """Return the metadata score m, of SD about 1: the sum of three terms; the term of a missing value is 0."""
    terms = [(age - 50) / 20, sex.map(SEX_SCORES), site.map(SITE_SCORES)]
    return _exact(sum(term.astype(float).fillna(0).to_numpy() for term in terms))


def make_cohort(settings: Generate) -> pd.DataFrame:
    """Draw a row for each image: image, patient, age, sex, site, width, height, s, d, m, log_odds, target, diagnosis.

    Patients, places, scores and labels have separate random streams, so another signal changes only targets and
    diagnoses.
    """
    patients, places, pixels, labels = (np.random.default_rng([settings.seed, stream]) for stream in range(4))
    owner = _owners(patients, settings.images)
    count, first = owner.max() + 1, settings.first_image
    age = _with_missing(patients, _choice(patients, AGES, AGE_CHANCES, count), "age")[owner]
    sex = _with_missing(patients, _choice(patients, list(SEX_SCORES), [0.52, 0.48], count), "sex")[owner]
    sites = _choice(places, list(SITE_CHANCES), list(SITE_CHANCES.values()), settings.images)
    width, height = np.array(SIZES)[places.choice(len(SIZES), settings.images, p=SIZE_CHANCES)].T
    shared, contrast = pixels.standard_normal(count)[owner], pixels.standard_normal(settings.images)
    cohort = pd.DataFrame(
        {
            "image": [f"ISIC_{number:07d}" for number in range(first, first + settings.images)],
            "patient": [f"IP_{number:07d}" for number in patients.choice(10**7, count, replace=False)[owner]],
            "age": age.astype(float),
            "sex": sex,
            "site": _with_missing(places, sites, "site"),
            "width": width,
            "height": height,
            "s": math.sqrt(settings.within_patient_correlation) * shared
            + math.sqrt(1 - settings.within_patient_correlation) * contrast,
            "d": contrast,
        }
    )
    cohort["m"] = metadata_score(cohort["age"], cohort["sex"], cohort["site"])
    look = settings.pixel_signal * cohort["s"] + settings.relative_signal * cohort["d"]
    cohort["log_odds"] = intercept(settings) + look + settings.metadata_signal * cohort["m"]
    cohort["target"] = (labels.random(settings.images) < sigmoid(cohort["log_odds"])).astype(int)
    benign = np.where(labels.random(settings.images) < 0.3, "nevus", "unknown")
    cohort["diagnosis"] = np.where(cohort["target"] == 1, "melanoma", benign)
    return cohort


def kaggle_table(cohort: pd.DataFrame) -> pd.DataFrame:
    """Return the cohort in the columns of the training table of the SIIM-ISIC 2020 challenge, without the scores."""
    return pd.DataFrame(
        {
            "image_name": cohort["image"],
            "patient_id": cohort["patient"],
            "sex": cohort["sex"],
            "age_approx": cohort["age"],
            "anatom_site_general_challenge": cohort["site"],
            "diagnosis": cohort["diagnosis"],
            "benign_malignant": np.where(cohort["target"] == 1, "malignant", "benign"),
            "target": cohort["target"],
        }
    )


def truth(settings: Generate, cohort: pd.DataFrame) -> Truth:
    """Return the settings and the best possible AUROCs."""
    target = cohort["target"].to_numpy(float)
    look = settings.pixel_signal * cohort["s"] + settings.relative_signal * cohort["d"]
    drawn = Aurocs(
        joint=_auroc((look + settings.metadata_signal * cohort["m"]).to_numpy(), target, 1 - target),
        image=_auroc(cohort["s"].to_numpy(), target, 1 - target),
        metadata=_auroc(cohort["m"].to_numpy(), target, 1 - target),
    )
    population = _bayes(settings)
    return Truth(
        settings=settings.dump() | {"intercept": intercept(settings)},
        images=len(cohort),
        patients=cohort["patient"].nunique(),
        melanomas=int(target.sum()),
        bayes_auroc=BayesAurocs(population=population, cohort=drawn),
        margin=population["joint"] - max(population["image"], population["metadata"]),
    )


def _auroc(score: Floats, melanomas: Floats, others: Floats) -> float:
    """Return the AUROC of `score`; row i stands for melanomas[i] melanomas and others[i] others. NaN without both."""
    classes = np.repeat([1, 0], len(score))
    return float(auroc(classes, np.tile(score, 2), np.concatenate([melanomas, others])))


@cache
def intercept(settings: Generate) -> float:
    """Return the intercept at which the population has the prevalence of `settings`, by bisection."""
    s, m, weight = _population()
    signal = _look(settings) * s + settings.metadata_signal * m
    reach = np.abs(signal).max() + abs(float(logit(settings.prevalence)))
    low, high = -reach, reach
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if weight @ sigmoid(middle + signal) < settings.prevalence else (low, middle)
    return float(middle)


def write_photographs(folder: Path, cohort: pd.DataFrame, settings: Generate, processes: int) -> None:
    """Write <image>.jpg and its SHA-256 for every row of the cohort into `folder`, which appears when it is complete.

    The number of processes does not change the images. Raises InputError if `folder` exists and is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: it exists already. Remove it to draw the images again")
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    jobs = [
        (unfinished / f"{row.image}.jpg", (row.width, row.height), row.s, (settings.seed, 4, index))
        for index, row in enumerate(cohort.itertuples())
    ]
    with get_context("spawn").Pool(processes, cv2.setNumThreads, (1,)) as pool:
        for _ in progress(pool.imap_unordered(_write_photograph, jobs, chunksize=4), "drawing", len(jobs)):
            pass
    unfinished.replace(folder)


def _write_photograph(job: tuple[Path, tuple[int, int], float, tuple[int, ...]]) -> None:
    path, size, score, seed = job
    rng = np.random.default_rng(seed)
    image = draw_photograph(rng, size, score)
    quality = int(rng.integers(80, 96))
    encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    data = encoded.tobytes()
    path.write_bytes(data)
    digest_file(path).write_text(sha256(data))


def _owners(rng: np.random.Generator, images: int) -> NDArray[np.int64]:
    """Return the patient of each image, from 0, in random order; most patients have few images, some have many."""
    counts = np.minimum(rng.geometric(0.22, images), MOST_IMAGES_OF_A_PATIENT)
    return rng.permutation(np.repeat(np.arange(images), counts)[:images])


def _choice(rng: np.random.Generator, values: ArrayLike, chances: ArrayLike, count: int) -> NDArray[Any]:
    return rng.choice(np.array(values, dtype=object), count, p=np.array(chances) / np.sum(chances))


def _with_missing(rng: np.random.Generator, values: NDArray[Any], column: str) -> NDArray[Any]:
    return np.where(rng.random(len(values)) < MISSING[column], np.nan, values)


def _look(settings: Generate) -> float:
    """Return the SD of pixel_signal * s + relative_signal * d, the part of the look in the log-odds."""
    if not settings.relative_signal:
        return settings.pixel_signal
    contrast = settings.pixel_signal * math.sqrt(1 - settings.within_patient_correlation) + settings.relative_signal
    return math.hypot(settings.pixel_signal * math.sqrt(settings.within_patient_correlation), contrast)


@cache
def _population() -> tuple[Floats, Floats, Floats]:
    """Return s, m and the weight of every point of a grid that represents the population; the weights sum to 1."""
    points = 400
    s = np.array([NormalDist().inv_cdf((point + 0.5) / points) for point in range(points)])
    age, age_weight = _terms((AGES - 50) / 20, AGE_CHANCES, MISSING["age"])
    sex, sex_weight = _terms(list(SEX_SCORES.values()), [0.52, 0.48], MISSING["sex"])
    site, site_weight = _terms(
        [SITE_SCORES[name] for name in SITE_CHANCES], list(SITE_CHANCES.values()), MISSING["site"]
    )
    m = _exact(np.add.outer(np.add.outer(age, sex), site).ravel())
    m_weight = np.multiply.outer(np.multiply.outer(age_weight, sex_weight), site_weight).ravel()
    return np.tile(s, len(m)), np.repeat(m, points), np.repeat(m_weight / points, points)


def _terms(scores: ArrayLike, chances: ArrayLike, missing: float) -> tuple[Floats, Floats]:
    """Return the terms of a variable in m, with the 0 of a missing value, and their probabilities."""
    weight = np.array(chances) / np.sum(chances)
    return np.append(scores, 0.0), np.append(weight * (1 - missing), missing)


def _exact(m: Floats) -> Floats:
    """Round, so that equal sums are equal numbers: rounding errors of the addition would break ties."""
    return np.round(m, 6)


def _bayes(settings: Generate) -> Aurocs:
    """Return the AUROCs of the population. The look adds `_look` times a standard normal u to the log-odds."""
    u, m, weight = _population()
    log_odds = _look(settings) * u + settings.metadata_signal * m
    risk = sigmoid(intercept(settings) + log_odds)
    melanomas, others = weight * risk, weight * (1 - risk)
    return Aurocs(
        joint=_auroc(log_odds, melanomas, others),
        image=_image_alone(settings) if settings.relative_signal else _auroc(u, melanomas, others),
        metadata=_auroc(m, melanomas, others),
    )


def _image_alone(settings: Generate) -> float:
    """Return the AUROC of a model that sees one image and none of the patient's other images.

    It sees the look s, but not d, the difference to the patient's mean. So the log-odds have a known part, linear in s,
    and an unknown normal part that is independent of s. The risk is averaged over the unknown part.
    """
    s, m, weight = _population()
    known = settings.pixel_signal + settings.relative_signal * math.sqrt(1 - settings.within_patient_correlation)
    unknown = math.sqrt(max(_look(settings) ** 2 - known**2, 0.0))
    nodes, chances = np.polynomial.hermite_e.hermegauss(NODES)
    rest = intercept(settings) + known * s + settings.metadata_signal * m
    risk = sum(
        chance * sigmoid(rest + unknown * node) for node, chance in zip(nodes, chances / chances.sum(), strict=True)
    )
    return _auroc(s, weight * risk, weight * (1 - risk))
