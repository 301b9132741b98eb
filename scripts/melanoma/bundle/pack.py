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
from melanoma.bundle.columns import without_values
from melanoma.bundle.contents import FORMAT, FROZEN, BundleFile, Chosen, Kind, Range, Scores, write_bundle
from melanoma.bundle.coverage import measured_coverage
from melanoma.bundle.model import BundledModel
from melanoma.bundle.onnx_export import HOW, Onnx, OnnxNetwork, about_probe_run, about_run, probe_to_onnx, to_onnx
from melanoma.bundle.reference import HELD_OUT, SAMPLE, Reference, colors, sample
from melanoma.common.errors import InputError
from melanoma.common.files import read_json, read_parquet
from melanoma.compute.device import compute_device
from melanoma.compute.distributed import Processes
from melanoma.config.augmentation import TTA
from melanoma.config.facts import training_name
from melanoma.config.networks import LINEAR_PROBE
from melanoma.config.recipe import Recipe
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.evaluation.results import ModelMetrics
from melanoma.images.store import ImageStore
from melanoma.models.embeddings import FrozenNetwork
from melanoma.models.plain_classifiers import Linear
from melanoma.models.tabular import Fitted
from melanoma.predictions.patient_context import count_images
from melanoma.stats import calibration, thresholds
from melanoma.stats.conformal import patient_weights
from melanoma.training.embedder import VIEWS, frozen_network
from melanoma.training.loader import Examples
from melanoma.training.predictor import restored
from melanoma.training.prefetch import Prefetch
from melanoma.training.saved_network import from_safetensors, to_safetensors

FILES: dict[Kind, str] = {
    "network": "predict/{}.json",
    "metadata": "train/{}/model.json",
    "fusion": "fuse/{}.json",
}
MEASURES = ["width", "height", "sharpness", "exposure", "border_fraction", "hair"]
# The share of the training images outside a range, half on each side.
OUTSIDE = 0.01
EMBEDDINGS = "training_embeddings.safetensors"
COLORED = 2000  # training images whose colors are measured
CHECKED = 8  # images on which the logits of ONNX are compared with those of torch


def pack(results: Path, model: str | None, folder: Path, onnx: bool = False, gpus: int = 0) -> BundleFile:
    """Write the bundle of a model of the study in `results`, by default of the selected model, to `folder`.

    With `onnx` it also has each network as ONNX. A GPU, if `gpus` is 1, computes the embeddings of training images.
    Raises InputError if the study is not finished, has no such model, or if the model has no weights, as external
    predictions.
    """
    name = model or read_json(_existing(results, "fuse/selected_model.json"))["selected_model"]
    models, files = _with_members(results, name)
    about = _describe(results, name, models)
    about["without"] = without_values(BundledModel.from_files(about, files), _metadata(results))
    about["needs"] = ["image", *about["without"]]
    _add_embeddings(results, about, files, gpus)
    if onnx:
        about["onnx"] = _add_onnx(results, models, files)
    metrics: ModelMetrics = read_json(_existing(results, "evaluate/metrics.json"))[name]
    about["chosen"] = _chosen(about, metrics)
    files["README.md"] = model_card(about, metrics, _training_images(results)).encode()
    write_bundle(folder, about, files)
    return about


def _training_images(results: Path) -> pd.DataFrame:
    """Return the training images with source, patient, and the license and attribution that the catalog has."""
    train = read_parquet(_existing(results, "split/train.parquet"), columns=["image", "source", "patient"])
    catalog = read_parquet(_existing(results, "catalog/catalog.parquet"), columns=["image", "license", "attribution"])
    return train.merge(catalog.drop_duplicates("image"), on="image", how="left", validate="1:1")


def _metadata(results: Path) -> pd.DataFrame:
    """Return age, sex and site of the training images."""
    return read_parquet(_existing(results, "split/train.parquet"), columns=["age", "sex", "site"])


def _chosen(about: BundleFile, metrics: ModelMetrics) -> dict[str, Chosen]:
    """Return what each threshold was chosen for, and the rates that it reached out of fold and on the test."""
    benign, melanoma = (len(about["out_of_fold"][name]["weight"]) for name in ("benign", "melanoma"))
    return {
        rule: Chosen(
            purpose=thresholds.purpose(rule),
            images=benign + melanoma,
            melanomas=melanoma,
            out_of_fold=rates["intended"],
            test={"sensitivity": rates["sensitivity"], "specificity": rates["specificity"]},
            confidence_level=metrics["bootstrap"]["confidence_level"],
        )
        for rule, rates in metrics["thresholds"].items()
    }


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


def _add_embeddings(results: Path, about: BundleFile, files: dict[str, bytes], gpus: int) -> None:
    """Add a sample of the training images as the first image network sees them, and the distance of unseen images.

    Unseen are the images of the fold that was held out; after a training on all folds, the test images, whose labels
    are not read.
    """
    for name in (name for name, kind in about["models"].items() if kind in ("network", "frozen_network")):
        values = json.loads(files[f"models/{name}.json"])
        run, entry = next(iter(values["runs"].items()))
        trained = from_safetensors(files[entry["weights"]], entry["weights"])
        if trained["images"] is None:
            continue
        train, test = (read_parquet(_existing(results, f"split/{part}.parquet")) for part in ("train", "test"))
        in_fold = train["fold"] == trained.get("fold", -1)
        unseen = train[in_fold] if in_fold.any() else test
        encoder, store = MetadataEncoder.from_dict(trained["encoder"]), _existing(results, "images/images.h5")
        training, held_out = (
            Examples.of(sample(rows, count), encoder, store, trained["recipe"]["input_size"])
            for rows, count in ((train[~in_fold], SAMPLE), (unseen, HELD_OUT))
        )
        device = compute_device(gpus, trained["recipe"]["precision"])
        with Prefetch(0, pinned=False) as prefetch:
            predictor = restored(trained, len(encoder.names), device, prefetch, Processes())
            reference = Reference.measure(predictor, TTA.model_validate(values["tta"]), training, held_out)
        files[EMBEDDINGS] = reference.to_bytes()
        about["training_embeddings"] = {"network": name, "run": run, "file": EMBEDDINGS, "limit": reference.limit}
        return


def _add_onnx(results: Path, models: dict[str, Kind], files: dict[str, bytes]) -> Onnx:
    """Add the ONNX model of each training of each network and linear probe to `files`; return what is known of them."""
    train, test = (read_parquet(_existing(results, f"split/{part}.parquet")) for part in ("train", "test"))
    table = count_images(train, test)[1].head(CHECKED)
    networks: dict[str, OnnxNetwork] = {}
    for name, kind in models.items():
        values = json.loads(files[f"models/{name}.json"])
        if kind == "network":
            weights = {run: entry["weights"] for run, entry in values["runs"].items()}
        elif kind == "metadata" and values["recipe"]["network"] == LINEAR_PROBE:
            weights = dict.fromkeys(values["runs"], f"models/{values['frozen_network']}/{FROZEN}.safetensors")
        else:
            continue
        runs = {}
        for run, path in weights.items():
            trained, model = from_safetensors(files[path], path), f"models/{name}/{run}.onnx"
            images = None if trained["images"] is None else _existing(results, "images/images.h5")
            encoder = MetadataEncoder.from_dict(trained["encoder"])
            examples = Examples.of(table, encoder, images, trained["recipe"]["input_size"])
            if kind == "network":
                files[model] = to_onnx(trained, examples, f"{name} ({run})")
                runs[run] = about_run(trained, model)
            else:
                fitted = Fitted.from_dict(values["runs"][run], gallery=None)
                assert isinstance(fitted.classifier, Linear)
                columns = fitted.encoder.transform(table)
                files[model] = probe_to_onnx(trained, fitted.classifier, columns, examples, f"{name} ({run})")
                runs[run] = about_probe_run(fitted.encoder, model)
            networks[name] = OnnxNetwork(preparation=trained["images"], side=trained["size"], runs=runs)
    return Onnx(networks=networks, how=HOW)


def _frozen_network(name: str, backbone: FrozenNetwork) -> dict[str, bytes]:
    """Return the files of the network whose features a model reads: those of a network with one training."""
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
    rows = rows.assign(patient=rows["patient"].fillna(rows["image"]))
    return BundleFile(
        format=FORMAT,
        name=name,
        study=results.name,
        models=models,
        calibrator=calibrator,
        thresholds=thresholds.load(_existing(results, "evaluate/metrics.json"))[name],
        prevalence=float(rows["target"].mean()),
        out_of_fold={"benign": _scores(rows, 0), "melanoma": _scores(rows, 1)},
        coverage=measured_coverage(rows),
        training_images=_ranges(results) if {"network", "frozen_network"} & set(models.values()) else {},
        needs=[],
        versions={
            "python": platform.python_version(),
            "torch": torch.__version__,
            "scikit-learn": sklearn.__version__,
        },
        files={},
    )


def _scores(rows: pd.DataFrame, target: Literal[0, 1]) -> Scores:
    rows = rows[rows["target"] == target]
    rows = rows.assign(weight=patient_weights(rows["patient"]))
    rows = rows.sort_values("calibrated", kind="stable")
    return Scores(probability=rows["calibrated"].tolist(), weight=rows["weight"].tolist())


def _ranges(results: Path) -> dict[str, Range]:
    """Return the range of each measure of the training images."""
    path = results / "images/quality.parquet"
    if not path.exists():
        return {}
    quality = read_parquet(path)
    train = read_parquet(_existing(results, "split/train.parquet"), columns=["image", "row"])
    measured = quality.loc[quality["image"].isin(train["image"]) & quality["readable"], MEASURES]
    rows = sample(train, COLORED)["row"].to_numpy(np.int64)
    return _middle(measured) | _middle(colors(ImageStore(_existing(results, "images/images.h5")), rows))


def _middle(measured: pd.DataFrame) -> dict[str, Range]:
    low, high = (np.quantile(measured, share, axis=0) for share in (OUTSIDE / 2, 1 - OUTSIDE / 2))
    return {
        name: Range(low=float(bottom), high=float(top)) for name, bottom, top in zip(measured, low, high, strict=True)
    }


def _existing(results: Path, path: str) -> Path:
    file = results / path
    if not file.exists():
        raise InputError(f"{file}: no such file. Run the study to its end first")
    return file
