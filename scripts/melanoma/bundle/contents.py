"""The folder of a bundle: bundle.json, which names every other file with its SHA-256.

bundle.json               what the bundle is; see `BundleFile`
README.md                 the model card
models/<name>.json        how each model predicts
training_embeddings.safetensors   a sample of the training images, as the network of `training_embeddings` sees them
models/<name>/<run>.safetensors   the weights of each training of a network, or of a frozen network
models/<name>/<run>.onnx          the same as ONNX, if it was asked for
"""

from pathlib import Path
from typing import Literal, NotRequired, TypedDict

from melanoma.bundle.coverage import Coverage
from melanoma.bundle.onnx_export import Onnx
from melanoma.common.errors import InputError, listing
from melanoma.common.files import read_json, sha256, write_bytes, write_json
from melanoma.evaluation.results import Intended, Rates

FORMAT = 1
NAME = "bundle.json"
# The run of a network that is not trained.
FROZEN = "frozen"
Kind = Literal["network", "frozen_network", "metadata", "fusion"]


class Range(TypedDict):
    """The values of a measure that the middle 99 % of the training images have."""

    low: float
    high: float


class Chosen(TypedDict):
    """What a threshold was chosen for, on how many out-of-fold predictions, and the rates that it reached."""

    purpose: str
    images: int
    melanomas: int
    out_of_fold: Intended
    test: Rates
    confidence_level: float  # of the intervals of the test


class Scores(TypedDict):
    """Out-of-fold calibrated probabilities of the images of one class, sorted, and the weight of each.

    The weights of a patient's images sum to 1.
    """

    probability: list[float]
    weight: list[float]


class TrainingEmbeddings(TypedDict):
    """The training whose embeddings are kept, and the distance to them that 1 % of unseen images exceed."""

    network: str
    run: str
    file: str
    limit: float


class BundleFile(TypedDict):
    """The content of bundle.json."""

    format: int
    name: str  # of the model whose predictions are given
    study: str
    models: dict[str, Kind]  # each model after its members
    calibrator: dict[str, str | float | list[float]] | None  # the fields of `calibration.Affine` or `Isotonic`
    thresholds: dict[str, float]  # of uncalibrated probabilities, by rule; at or above it counts as melanoma
    chosen: NotRequired[dict[str, Chosen]]  # by rule; missing in older bundles
    prevalence: float  # share of melanomas in the out-of-fold images
    out_of_fold: dict[Literal["benign", "melanoma"], Scores]
    coverage: NotRequired[list[Coverage]]  # of the conformal sets, measured out of fold; missing in older bundles
    training_images: dict[str, Range]  # by measure of the quality table; empty if no image is read
    needs: list[str]  # columns that are read for each image
    without: NotRequired[dict[str, str]]  # by column of `needs`, what no value counts as; missing in older bundles
    versions: dict[str, str]
    files: dict[str, str]  # SHA-256 by path
    onnx: NotRequired[Onnx]
    training_embeddings: NotRequired[TrainingEmbeddings]  # missing if no network reads images


def write_bundle(folder: Path, about: BundleFile, files: dict[str, bytes]) -> None:
    """Write the files and, last, bundle.json. Raises InputError if the folder exists and is no bundle."""
    if folder.exists() and any(folder.iterdir()) and not (folder / NAME).exists():
        raise InputError(f"{folder} is not empty and not a bundle; give a new folder")
    for path, data in files.items():
        write_bytes(folder / path, data)
    write_json(folder / NAME, about | {"files": {path: sha256(data) for path, data in files.items()}})


def read_bundle(folder: Path) -> tuple[BundleFile, dict[str, bytes]]:
    """Return the content of bundle.json and of the other files.

    Raises InputError if the folder is no bundle, has a newer format, or if a file is missing or has changed.
    """
    path = folder / NAME
    if not path.is_file():
        raise InputError(f"{folder}: no bundle, because {NAME} is missing. Give a folder that scripts/bundle.py wrote")
    try:
        about: BundleFile = read_json(path)
        version, digests = about["format"], about["files"]
    except (InputError, KeyError, TypeError) as error:
        raise InputError(f"{path}: damaged. Copy the bundle again") from error
    if version != FORMAT:
        raise InputError(f"{path}: format {version}; this version of the workflow reads {FORMAT}. Use a newer version")
    return about, {name: _intact(folder, name, digest) for name, digest in digests.items()}


def _intact(folder: Path, name: str, digest: str) -> bytes:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{folder / NAME}: names {name}, a file outside the bundle. Do not use this bundle")
    if not path.is_file():
        missing = listing([str(path)])
        raise InputError(f"{folder}: a file of the bundle is missing. Copy the bundle again:\n{missing}")
    data = path.read_bytes()
    if sha256(data) != digest:
        raise InputError(f"{path}: its SHA-256 is not the one in {NAME}: the file has changed. Copy the bundle again")
    return data
