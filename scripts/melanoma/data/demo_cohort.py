"""A made-up study with a known truth: patients, metadata and photographs, in the layout of the real data.

An image's risk is sigmoid(intercept + pixel_signal * s + relative_signal * d + metadata_signal * m). The pixel
score s is standard normal and sets how the lesion looks; d is how far it looks from the patient's usual lesion:
s is sqrt(r) * the patient's part + sqrt(1 - r) * d, both standard normal, and r the
within_patient_correlation. The metadata score m is a function of age, sex and site as in the table. So the best AUROC
that any model can reach, from the pixels, from the metadata and
from all of it with the patient's usual lesion known, is known.
"""

import math
import shutil
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from statistics import NormalDist
from typing import Any

import cv2
import numpy as np
import pandas as pd

from melanoma.common.cli import progress
from melanoma.common.errors import InputError
from melanoma.data.demo_images import draw_photograph

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
SIZES = [
    (640, 480),
    (1024, 768),
    (1872, 1053),
    (480, 640),
    (768, 1024),
    (6000, 4000),
]  # width, height in pixels
SIZE_CHANCES = [0.66, 0.12, 0.05, 0.11, 0.05, 0.01]
MOST_IMAGES_OF_A_PATIENT = 15
NODES = 31  # of d, for what the look of one image alone tells


@dataclass(frozen=True)
class Settings:
    """What defines a demo study; the same settings give the same bytes."""

    images: int
    seed: int
    pixel_signal: float
    metadata_signal: float
    prevalence: float
    relative_signal: float = 0.0
    within_patient_correlation: float = 0.2  # correlation of the pixel scores within a patient

    def __post_init__(self) -> None:
        """Raise InputError where a study cannot be made with these."""
        if self.images < 1:
            raise InputError(f"images is {self.images}, expected at least 1")
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}, expected at least 0")
        if not 0 < self.prevalence < 1:
            raise InputError(f"prevalence is {self.prevalence}, expected a number between 0 and 1")
        signals = self.pixel_signal, self.relative_signal, self.metadata_signal
        if min(signals) < 0:
            raise InputError(f"pixel, relative and metadata signal are {signals}, expected >= 0")
        if not 0 <= self.within_patient_correlation < 1:
            raise InputError(
                f"within_patient_correlation is {self.within_patient_correlation}, expected 0 or more and less than 1"
            )

    @property
    def look(self) -> float:
        """The deviation of what an image's look adds to its log-odds, pixel_signal * s + relative_signal * d."""
        if not self.relative_signal:
            return self.pixel_signal
        own = self.pixel_signal * math.sqrt(1 - self.within_patient_correlation) + self.relative_signal
        return math.hypot(self.pixel_signal * math.sqrt(self.within_patient_correlation), own)


def metadata_score(age: pd.Series, sex: pd.Series, site: pd.Series) -> np.ndarray:
    """The metadata score m, float64, SD about 1: a sum over the three, missing values adding nothing."""
    terms = [(age - 50) / 20, sex.map(SEX_SCORES), site.map(SITE_SCORES)]
    return _exact(sum(term.astype(float).fillna(0).to_numpy() for term in terms))


def make_cohort(settings: Settings) -> pd.DataFrame:
    """Draw a row per image: image, patient, age, sex, site, width, height, s, d, m, log_odds, target, diagnosis.

    Patients, places, scores and labels have random streams of their own, so that changing a signal changes
    targets and diagnoses alone.
    """
    patients, places, pixels, labels = (np.random.default_rng([settings.seed, stream]) for stream in range(4))
    owner = _owners(patients, settings.images)
    count = owner.max() + 1
    age = _with_missing(patients, _choice(patients, AGES, AGE_CHANCES, count), "age")[owner]
    sex = _with_missing(patients, _choice(patients, list(SEX_SCORES), [0.52, 0.48], count), "sex")[owner]
    sites = _choice(places, list(SITE_CHANCES), list(SITE_CHANCES.values()), settings.images)
    width, height = np.array(SIZES)[places.choice(len(SIZES), settings.images, p=SIZE_CHANCES)].T
    shared, own = pixels.standard_normal(count)[owner], pixels.standard_normal(settings.images)
    cohort = pd.DataFrame(
        {
            "image": [f"ISIC_{number:07d}" for number in range(1, settings.images + 1)],
            "patient": [f"IP_{number:07d}" for number in patients.choice(10**7, count, replace=False)[owner]],
            "age": age.astype(float),
            "sex": sex,
            "site": _with_missing(places, sites, "site"),
            "width": width,
            "height": height,
            "s": math.sqrt(settings.within_patient_correlation) * shared
            + math.sqrt(1 - settings.within_patient_correlation) * own,
            "d": own,
        }
    )
    cohort["m"] = metadata_score(cohort["age"], cohort["sex"], cohort["site"])
    look = settings.pixel_signal * cohort["s"] + settings.relative_signal * cohort["d"]
    cohort["log_odds"] = intercept(settings) + look + settings.metadata_signal * cohort["m"]
    cohort["target"] = (labels.random(settings.images) < _sigmoid(cohort["log_odds"])).astype(int)
    benign = np.where(labels.random(settings.images) < 0.3, "nevus", "unknown")
    cohort["diagnosis"] = np.where(cohort["target"] == 1, "melanoma", benign)
    return cohort


def kaggle_table(cohort: pd.DataFrame) -> pd.DataFrame:
    """The cohort as the training table of the SIIM-ISIC 2020 challenge, which holds nothing of the truth."""
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


def truth(settings: Settings, cohort: pd.DataFrame) -> dict[str, Any]:
    """The settings and the Bayes AUROCs: of the population, and of the same scores on the cohort drawn.

    `margin` is what the population's joint AUROC gains on the better part: what there is for fusion to win.
    """
    target = cohort["target"].to_numpy(float)
    look = settings.pixel_signal * cohort["s"] + settings.relative_signal * cohort["d"]
    scores = {"joint": look + settings.metadata_signal * cohort["m"], "image": cohort["s"], "metadata": cohort["m"]}
    drawn = {name: auroc(score.to_numpy(), target, 1 - target) for name, score in scores.items()}
    population = _bayes(settings)
    return {
        "settings": asdict(settings) | {"intercept": intercept(settings)},
        "images": len(cohort),
        "patients": cohort["patient"].nunique(),
        "melanomas": int(target.sum()),
        "bayes_auroc": {"population": population, "cohort": drawn},
        "margin": population["joint"] - max(population["image"], population["metadata"]),
    }


def auroc(score: np.ndarray, positive: np.ndarray, negative: np.ndarray) -> float:
    """The AUROC of `score` where row i is positive[i] melanomas and negative[i] others; NaN without both."""
    places = np.unique(score, return_inverse=True)[1]
    melanomas, others = np.bincount(places, positive), np.bincount(places, negative)
    if not melanomas.sum() or not others.sum():
        return math.nan
    below = np.cumsum(others) - others / 2
    return float(melanomas @ below / (melanomas.sum() * others.sum()))


@cache
def intercept(settings: Settings) -> float:
    """The intercept that gives the population the prevalence asked for, by bisection."""
    s, m, weight = _population()
    signal = settings.look * s + settings.metadata_signal * m
    reach = np.abs(signal).max() + abs(math.log(settings.prevalence / (1 - settings.prevalence)))
    low, high = -reach, reach
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if weight @ _sigmoid(middle + signal) < settings.prevalence else (low, middle)
    return float(middle)


def write_photographs(folder: Path, cohort: pd.DataFrame, settings: Settings, processes: int) -> None:
    """Write <image>.jpg for every row of the cohort into `folder`, which appears only when it is complete.

    The bytes depend on the settings' seed, not on `processes`. Raises InputError where `folder` is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: already there; remove it to draw the images again")
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
    path.write_bytes(encoded.tobytes())


def _owners(rng: np.random.Generator, images: int) -> np.ndarray:
    """The patient of each image, counted from 0, in mixed order: mostly few images each, some many."""
    counts = np.minimum(rng.geometric(0.22, images), MOST_IMAGES_OF_A_PATIENT)
    return rng.permutation(np.repeat(np.arange(images), counts)[:images])


def _choice(rng: np.random.Generator, values: Any, chances: Any, count: int) -> np.ndarray:
    return rng.choice(np.array(values, dtype=object), count, p=np.array(chances) / np.sum(chances))


def _with_missing(rng: np.random.Generator, values: np.ndarray, column: str) -> np.ndarray:
    return np.where(rng.random(len(values)) < MISSING[column], np.nan, values)


@cache
def _population() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """s, m and the weight of every point of a grid that stands for the whole population; weights sum to 1."""
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


def _terms(scores: Any, chances: Any, missing: float) -> tuple[np.ndarray, np.ndarray]:
    """A variable's contributions to m and their probabilities, the missing value's 0 among them."""
    weight = np.array(chances) / np.sum(chances)
    return np.append(scores, 0.0), np.append(weight * (1 - missing), missing)


def _exact(m: np.ndarray) -> np.ndarray:
    """Equal sums as equal numbers: rounding errors of addition would break ties."""
    return np.round(m, 6)


def _bayes(settings: Settings) -> dict[str, float]:
    """The AUROCs of the population: the look's part of the log-odds is `settings.look` times a standard normal u."""
    u, m, weight = _population()
    log_odds = settings.look * u + settings.metadata_signal * m
    risk = _sigmoid(intercept(settings) + log_odds)
    scores = {"joint": log_odds, "image": u, "metadata": m}
    found = {name: auroc(score, weight * risk, weight * (1 - risk)) for name, score in scores.items()}
    return found | ({"image": _image_alone(settings)} if settings.relative_signal else {})


def _image_alone(settings: Settings) -> float:
    """The AUROC of s, which knows d in part: cov(u, s) of u's deviation is s's, the rest is unknown to it."""
    s, m, weight = _population()
    known = settings.pixel_signal + settings.relative_signal * math.sqrt(1 - settings.within_patient_correlation)
    unknown = math.sqrt(max(settings.look**2 - known**2, 0.0))
    nodes, chances = np.polynomial.hermite_e.hermegauss(NODES)
    rest = intercept(settings) + known * s + settings.metadata_signal * m
    risk = sum(
        chance * _sigmoid(rest + unknown * node) for node, chance in zip(nodes, chances / chances.sum(), strict=True)
    )
    return auroc(s, weight * risk, weight * (1 - risk))


def _sigmoid(log_odds: Any) -> Any:
    return 1 / (1 + np.exp(-log_odds))
