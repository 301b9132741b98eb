"""Packs a model, a fusion or the selected model of a finished study into a bundle."""

import json
import platform
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import sklearn
import torch

from melanoma.bundle.card import model_card
from melanoma.bundle.contents import FORMAT, FROZEN, BundleFile, Kind, Range, Scores, write_bundle
from melanoma.common.errors import InputError
from melanoma.common.files import read_json, read_parquet
from melanoma.config.facts import training_name
from melanoma.config.recipe import Recipe
from melanoma.models.embeddings import FrozenNetwork
from melanoma.stats import calibration, thresholds
from melanoma.stats.conformal import patient_weights
from melanoma.training.embedder import VIEWS, frozen_network
from melanoma.training.saved_network import to_safetensors

FILES: dict[Kind, str] = {
    "network": "predict/{}.json",
    "metadata": "train/{}/model.json",
    "fusion": "fuse/{}.json",
}
MEASURES = ["width", "height", "sharpness", "exposure", "border_fraction", "hair"]
# The share of the training images outside a range, half on each side.
OUTSIDE = 0.01


def pack(results: Path, model: str | None, folder: Path) -> BundleFile:
    """Write the bundle of a model of the study in `results`, by default of the selected model, to `folder`.

    Raises InputError if the study is not finished, has no such model, or if the model has no weights, as external
    predictions.
    """
    name = model or read_json(_existing(results, "fuse/selected_model.json"))["selected_model"]
    models, files = _with_members(results, name)
    about = _describe(results, name, models)
    metrics = read_json(_existing(results, "evaluate/metrics.json"))[name]
    files["README.md"] = model_card(about, metrics).encode()
    write_bundle(folder, about, files)
    return about


def _with_members(results: Path, name: str) -> tuple[dict[str, Kind], dict[str, bytes]]:
    """Return the kinds of a model and its members, and the files of all."""
    models: dict[str, Kind] = {}
    files: dict[str, bytes] = {}
    kind = _kind(results, name)
    values = read_json(results / FILES[kind].format(name))
    if kind == "fusion":
        values = values["model"]
        for member in values["members"]:
            member_models, member_files = _with_members(results, member)
            models |= member_models
            files |= member_files
    if kind == "network":
        values["runs"] = {run: values["runs"][run] for run in values["test_runs"]}
        for run, entry in values["runs"].items():
            data = _existing(results, f"predict/{entry['weights']}").read_bytes()
            entry["weights"] = f"models/{name}/{run}.safetensors"
            files[entry["weights"]] = data
    if kind == "metadata":
        values["runs"] = {run: values["runs"][run] for run in values["test_runs"]}
        if "backbone" in values:
            values["frozen_network"] = training_name(Recipe.model_validate(values["backbone"]["recipe"]))
            models[values["frozen_network"]] = "frozen_network"
            files |= _frozen_network(values["frozen_network"], values["backbone"])
    files[f"models/{name}.json"] = json.dumps(values, indent=1).encode()
    return models | {name: kind}, files


def _frozen_network(name: str, backbone: FrozenNetwork) -> dict[str, bytes]:
    """Return the files of the network whose features a linear probe reads: those of a network with one training."""
    weights = f"models/{name}/{FROZEN}.safetensors"
    runs = {FROZEN: {"weights": weights, "test_from": 0}}
    values = {"tta": VIEWS.model_dump(), "test_runs": [FROZEN], "runs": runs}
    network = to_safetensors(frozen_network(backbone))
    return {weights: network, f"models/{name}.json": json.dumps(values, indent=1).encode()}


def _kind(results: Path, name: str) -> Kind:
    for kind, path in FILES.items():
        if (results / path.format(name)).exists():
            return kind
    known = sorted(read_json(_existing(results, "evaluate/metrics.json")))
    if name in known:
        raise InputError(f"{name} has external predictions and no weights, so no bundle can be made of it")
    raise InputError(f"{results}: no model {name}. Its models are {', '.join(known)}")


def _describe(results: Path, name: str, models: dict[str, Kind]) -> BundleFile:
    folder = "fuse" if models[name] == "fusion" else "predict"
    rows = read_parquet(_existing(results, f"{folder}/{name}.parquet"))
    rows = rows[rows["part"] == "train"]
    calibrator = read_json(_existing(results, "evaluate/calibration.json")).get(name, {}).get("calibrator")
    fitted = calibration.NONE if calibrator is None else calibration.calibrator_from(calibrator)
    rows = rows.assign(calibrated=fitted.apply(rows["probability"].to_numpy()))
    return BundleFile(
        format=FORMAT,
        name=name,
        study=results.name,
        models=models,
        calibrator=calibrator,
        thresholds=thresholds.load(_existing(results, "evaluate/metrics.json"))[name],
        prevalence=float(rows["target"].mean()),
        out_of_fold={"benign": _scores(rows, 0), "melanoma": _scores(rows, 1)},
        training_images=_ranges(results) if {"network", "frozen_network"} & set(models.values()) else {},
        needs=["image", "patient", "age", "sex", "site"],
        versions={
            "python": platform.python_version(),
            "torch": torch.__version__,
            "scikit-learn": sklearn.__version__,
        },
        files={},
    )


def _scores(rows: pd.DataFrame, target: Literal[0, 1]) -> Scores:
    rows = rows[rows["target"] == target]
    rows = rows.assign(weight=patient_weights(rows["patient"].fillna(rows["image"])))
    rows = rows.sort_values("calibrated", kind="stable")
    return Scores(probability=rows["calibrated"].tolist(), weight=rows["weight"].tolist())


def _ranges(results: Path) -> dict[str, Range]:
    """Return the range of each measure of the training images."""
    path = results / "images/quality.parquet"
    if not path.exists():
        return {}
    quality = read_parquet(path)
    train = read_parquet(_existing(results, "split/train.parquet"), columns=["image"])
    measured = quality.loc[quality["image"].isin(train["image"]) & quality["readable"], MEASURES]
    low, high = (np.quantile(measured, share, axis=0) for share in (OUTSIDE / 2, 1 - OUTSIDE / 2))
    return {
        name: Range(low=float(bottom), high=float(top)) for name, bottom, top in zip(MEASURES, low, high, strict=True)
    }


def _existing(results: Path, path: str) -> Path:
    file = results / path
    if not file.exists():
        raise InputError(f"{file}: no such file. Run the study to its end first")
    return file
