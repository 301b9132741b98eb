"""Images of the page: the most confident errors, the images of patients, and samples, as small WebP pictures."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.common.errors import InputError
from melanoma.common.files import read_intact

if TYPE_CHECKING:  # a page without images need not load h5py
    from melanoma.images.store import ImageReader

LICENSED = re.compile(r"\s*(cc(\b|0)|creative commons|public domain)", re.IGNORECASE)
SIDE = 128  # pixels of a picture
QUALITY = 72
ERRORS = 12  # of each kind
PATIENTS = 30
IMAGES = 20  # of a patient
SAMPLES = 12  # of each class
SHOWN = ("age", "sex", "site", "skin_type", "source")


class Picture(TypedDict):
    """An image with what is known of it. `thumbnail` is the number of its picture, None where none may be shown."""

    name: str
    melanoma: bool
    probability: float
    about: str
    thumbnail: int | None


class Gallery(TypedDict):
    """The pictures of the page by number, as base64 of WebP, and where they stand."""

    thumbnails: list[str]
    false_negatives: list[Picture]
    false_positives: list[Picture]
    patients: list[dict[str, Any]]  # name, and images, the highest probability first
    samples: dict[str, list[int]]  # by class


def webp(pixels: NDArray[np.uint8], side: int = SIDE) -> str:
    """Return an image, uint8 (h, w, 3), of at most `side` pixels, as base64 of WebP. It has no metadata."""
    import cv2

    scale = side / max(pixels.shape[:2])
    if scale < 1:
        size = [max(1, round(length * scale)) for length in pixels.shape[1::-1]]
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    done, data = cv2.imencode(".webp", pixels[:, :, ::-1], [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    assert done, "OpenCV is built with WebP"
    return base64.b64encode(data.tobytes()).decode()


class Pictures:
    """Gives each store row that may be shown a number, and reads its picture once."""

    def __init__(self, store: ImageReader | None) -> None:
        self.store = store
        self.thumbnails: list[str] = []
        self.numbers: dict[int, int] = {}

    def number(self, row: int, shown: bool) -> int | None:
        """Return the number of the picture of a store row; None if it may not be shown."""
        if self.store is None or not shown:
            return None
        if row not in self.numbers:
            self.numbers[row] = len(self.thumbnails)
            self.thumbnails.append(webp(self.store.read([row])[0]))
        return self.numbers[row]


def gallery(
    predictions: pd.DataFrame,
    model: str,
    test: pd.DataFrame,
    train: pd.DataFrame,
    store: ImageReader | None,
    identifiers: bool,
) -> Gallery:
    """Return the pictures of the page.

    `predictions` has image, patient, target and the probability of `model`. `test` and `train` have image, patient, row
    and metadata, and shown: whether the image may be shown (see `may_show`).
    """
    pictures = Pictures(store)
    rows = predictions[["image", "target", model]].dropna().rename(columns={model: "probability"})
    table = rows.merge(test.drop(columns="target", errors="ignore"), on="image", how="left")
    table["number"] = np.arange(1, len(table) + 1)
    ranked = table.sort_values("probability", ascending=False, kind="stable")

    def picture(row: Any) -> Picture:
        thumbnail = pictures.number(int(row.row), bool(row.shown)) if pd.notna(row.row) else None
        return {
            "name": row.image if identifiers else f"image {row.number}",
            "melanoma": bool(row.target),
            "probability": round(float(row.probability), 4),
            "about": describe(row),
            "thumbnail": thumbnail,
        }

    melanoma = ranked["target"] == 1
    missed, alarms = ranked[melanoma].tail(ERRORS)[::-1], ranked[~melanoma].head(ERRORS)
    samples = {
        name: [number for row in chosen(train, target) if (number := pictures.number(row, True)) is not None]
        for target, name in ((0, "Benign"), (1, "Melanoma"))
    }
    return {
        "false_negatives": [picture(row) for row in missed.itertuples()],
        "false_positives": [picture(row) for row in alarms.itertuples()],
        "patients": [
            {
                "name": str(patient) if identifiers else f"patient {number}",
                "total": len(images),
                "melanomas": int(images["target"].sum()),
                "images": [picture(row) for row in images.head(IMAGES).itertuples()],
            }
            for number, (patient, images) in enumerate(patients(ranked), start=1)
        ],
        "samples": samples,
        "thumbnails": pictures.thumbnails,
    }


def patients(ranked: pd.DataFrame) -> list[tuple[object, pd.DataFrame]]:
    """Return the patients with melanomas, then those with most images; the images of each keep their order."""
    groups = ranked[ranked["patient"].notna()].groupby("patient", sort=True)
    counts = groups["target"].agg(["max", "size"])
    counts = counts[counts["size"] > 1].sort_values(["max", "size"], ascending=False, kind="stable")
    return [(patient, groups.get_group(patient)) for patient in counts.index[:PATIENTS]]


def describe(row: Any) -> str:
    """Return what the metadata say of an image, in one line."""
    known = [(column, getattr(row, column, None)) for column in SHOWN]
    texts = [f"{value:g} years" if column == "age" else str(value) for column, value in known if pd.notna(value)]
    size = getattr(row, "width", None)
    return ", ".join([*texts, f"{size:g} x {row.height:g} pixels"] if size and pd.notna(size) else texts)


def chosen(train: pd.DataFrame, target: int) -> list[int]:
    """Return the store rows of some training images of a class that may be shown, drawn at random."""
    rows = np.sort(train.loc[(train["target"] == target) & train["shown"], "row"].to_numpy())
    order = np.random.default_rng([1, target]).permutation(len(rows))[:SAMPLES]
    return [int(row) for row in rows[order]]


def with_permission(
    table: pd.DataFrame, catalog: pd.DataFrame, generated: Sequence[str], images: bool | None
) -> pd.DataFrame:
    """Return a table of the split with the license of the catalog, and shown: whether an image may be shown."""
    licenses = catalog.drop_duplicates("image").set_index("image").reindex(table["image"])
    extra = {name: licenses[name].to_numpy() for name in ("skin_type",) if name in licenses and name not in table}
    return table.assign(shown=may_show(licenses["license"], licenses["source"], generated, images), **extra)


def may_show(
    license_: pd.Series, source: pd.Series, generated: Sequence[str], images: bool | None
) -> NDArray[np.bool_]:
    """Tell which images the page may show, bool (n,): see report.images of the configuration."""
    if images is not None:
        return np.full(len(license_), images)
    allowed = license_.fillna("").astype(str).str.match(LICENSED).to_numpy(bool)
    return np.asarray(allowed | source.isin(list(generated)).to_numpy(bool))


def read_png(path: Path) -> NDArray[np.uint8]:
    """Return a PNG file as uint8 (h, w, 3)."""
    import cv2

    pixels = cv2.imdecode(np.frombuffer(read_intact(path), np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise InputError(f"{path}: not a readable PNG; draw the figures again")
    return np.asarray(pixels[:, :, ::-1], np.uint8)
