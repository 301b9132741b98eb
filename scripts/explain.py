"""Explain the selected model: maps of its most confident errors on the test, and the columns that it needs.

python scripts/explain.py --selected-model selected_model.json --predictions cnn=predict/cnn.parquet \\
    --networks cnn=predict/cnn.json --train train.parquet --test test.parquet --labels test_labels.parquet \\
    --images images/images.h5 --output explanations.npz
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.common.cli import log, run
from melanoma.common.files import read_json, read_parquet
from melanoma.compute.device import set_up_torch
from melanoma.explain.cases import choose_cases
from melanoma.explain.explanation_file import About, Case, Explanations
from melanoma.explain.heat import SIDE, Heat
from melanoma.explain.importance import Importance
from melanoma.explain.members import (
    metadata_importance,
    network_heat,
    network_importance,
    probe_heat,
    single_models,
)
from melanoma.images.store import ImageStore
from melanoma.models import tabular
from melanoma.predictions.patient_context import count_images
from melanoma.predictions.table import join_labels, named_paths, read_labels, read_predictions
from melanoma.predictions.test_access_log import describe_access_log, open_test_labels
from melanoma.stats.thresholds import choose_thresholds
from melanoma.training.predictor import TrainedNetwork
from melanoma.training.saved_network import load

RULE = "youden"
# The sensitivity of a threshold that is not used here.
SENSITIVITY = 0.9


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the options of this script."""
    add = parser.add_argument
    add("--selected-model", type=Path, required=True, metavar="JSON", help="which model is selected")
    add("--predictions", nargs="+", required=True, metavar="NAME=FILE", help="predictions of models and fusions")
    add("--networks", nargs="*", default=[], metavar="NAME=FILE", help="how each network predicts, JSON")
    add("--metadata-models", nargs="*", default=[], metavar="NAME=FILE", help="fitted metadata models, JSON")
    add("--fusions", nargs="*", default=[], metavar="NAME=FILE", help="fusions, JSON")
    add("--train", type=Path, required=True, metavar="FILE", help="training images with their targets")
    add("--test", type=Path, required=True, metavar="FILE", help="test images")
    add("--labels", type=Path, required=True, metavar="FILE", help="targets of the test images")
    add("--images", type=Path, metavar="FILE", help="image store, if the study has images")
    add("--threads", type=int, default=1, help="CPU threads")
    describe_access_log(parser)
    add("--output", type=Path, required=True, metavar="NPZ", help="explanations to write")


def main(args: argparse.Namespace) -> None:
    """Choose the cases, and explain each single model of the selected one by its first training that predicts test."""
    set_up_torch(args.threads)
    name = read_json(args.selected_model)["selected_model"]
    labels = open_test_labels(args.labels, "explain", [name], args)
    predictions = read_predictions(named_paths(args.predictions)[name])
    threshold = youden_threshold(predictions, read_labels(args.train))
    test = join_labels(predictions[predictions["part"] == "test"], labels, name)
    cases = choose_cases(test, threshold)
    table = count_images(read_parquet(args.train), read_parquet(args.test))[1].set_index("image")
    rows = table.loc[cases["image"]].reset_index()
    target = labels.set_index("image").loc[table.index, "target"].to_numpy(np.int64)
    fusions = {fusion: read_json(path)["model"]["members"] for fusion, path in named_paths(args.fusions).items()}
    networks, metadata_models = named_paths(args.networks), named_paths(args.metadata_models)
    heats: dict[str, Heat] = {}
    importance: dict[str, list[Importance]] = {}
    for single in single_models(name, fusions):
        if single in networks:
            trained = first_test_run(networks[single])
            if trained["images"] is not None:
                heats[single] = network_heat(trained, rows, args.images)
            else:
                importance[single] = network_importance(trained, table.reset_index(), target)
        elif single in metadata_models:
            model = tabular.load(metadata_models[single])
            if model.recipe.is_probe:
                heats[single] = probe_heat(model, rows, args.images)
            elif not model.recipe.reads_features:
                importance[single] = metadata_importance(model, table.reset_index(), target)
    about = About(
        model=name,
        rule=RULE,
        threshold=threshold,
        methods={network: heat.method for network, heat in heats.items()},
        cases=[case(row) for row in cases.to_dict("records")],
        importance=importance,
    )
    maps = {network: heat.maps for network, heat in heats.items()}
    Explanations(shown_images(rows, args.images), maps, about).write(args.output)
    log.info("%s: %d images, maps of %d network(s)", args.output, len(cases), len(maps))


def youden_threshold(predictions: pd.DataFrame, labels: pd.DataFrame) -> float:
    """Return the threshold of Youden's index on the out-of-fold predictions, as `evaluate` selects it."""
    out_of_fold = join_labels(predictions[predictions["part"] == "train"], labels, "the selected model", subset=True)
    return choose_thresholds(out_of_fold["target"], out_of_fold["probability"], SENSITIVITY)[RULE]


def first_test_run(path: Path) -> TrainedNetwork:
    """Return the first training of a network that predicts the test."""
    network = load(path)
    return network.runs[network.test_runs[0]]


def case(row: dict[str, object]) -> Case:
    """Return what the file says about a row of `choose_cases`."""
    patient = row["patient"]
    return Case(
        image=str(row["image"]),
        patient=None if pd.isna(patient) else str(patient),
        target=int(str(row["target"])),
        probability=float(str(row["probability"])),
        kind=str(row["kind"]),
    )


def shown_images(rows: pd.DataFrame, images: Path | None) -> NDArray[np.uint8]:
    """Return the prepared images of `rows`, uint8 (n, SIDE, SIDE, 3) RGB, or none without an image store."""
    if images is None:
        return np.zeros((0, SIDE, SIDE, 3), np.uint8)
    pixels = ImageStore(images).read(rows["row"].to_numpy(np.int64))
    return np.stack([cv2.resize(one, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for one in pixels])


if __name__ == "__main__":
    run(describe, main, __doc__)
