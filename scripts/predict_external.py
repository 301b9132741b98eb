"""Predict the images of external sources with the fitted metadata models, linear probes and fusions of a study.

python scripts/predict_external.py --external split/external.parquet --networks cnn=external/cnn.parquet \\
    --tabular forest=train/forest/model.json --files theirs=theirs.csv --fusions mean=fuse/mean.json --output external

The output folder gets NAME.parquet for each model that is applied here. Nothing is fitted, and no label is read. A
source of which a file of external predictions lacks an image has no rows of this model and its fusions.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from melanoma.common.cli import run
from melanoma.common.files import read_parquet, write_parquet
from melanoma.fusion import saved_fusion
from melanoma.fusion.saved_fusion import Fusion
from melanoma.models import tabular
from melanoma.models.embeddings import Embeddings
from melanoma.predictions.external import predictions_of_external_sources
from melanoma.predictions.table import COLUMNS, named_paths, read_predictions


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    add = parser.add_argument
    add("--external", type=Path, required=True, help="images of external sources, Parquet")
    add("--networks", nargs="*", default=[], metavar="NAME=FILE", help="their predictions by networks, Parquet")
    add("--tabular", nargs="*", default=[], metavar="NAME=FILE", help="fitted metadata models and probes, JSON")
    add("--files", nargs="*", default=[], metavar="NAME=FILE", help="external predictions, CSV or Parquet")
    add("--embeddings", nargs="*", default=[], metavar="NAME=FILE", help="features of all images, for each probe")
    add("--fusions", nargs="*", default=[], metavar="NAME=FILE", help="fusions, JSON")
    add("--output", type=Path, required=True, metavar="FOLDER", help="folder of the predictions to write, Parquet")


def main(args: argparse.Namespace) -> None:
    """Predict and write."""
    images = read_parquet(args.external)
    predictions = {name: read_predictions(path) for name, path in named_paths(args.networks).items()}
    embeddings = named_paths(args.embeddings)
    applied = {}
    for name, path in named_paths(args.tabular).items():
        known = Embeddings.read(embeddings[name]).join(images) if name in embeddings else images
        applied[name] = complete(tabular.load(path).predict(known), images)
    for name, path in named_paths(args.files).items():
        applied[name] = predictions_of_external_sources(path, images)
    for name, path in named_paths(args.fusions).items():
        applied[name] = fused(saved_fusion.load(path), predictions | applied, images)
    for name, table in applied.items():
        write_parquet(args.output / f"{name}.parquet", table)


def fused(fusion: Fusion, predictions: dict[str, pd.DataFrame], images: pd.DataFrame) -> pd.DataFrame:
    """Return the predictions of a fusion for those of the `images` that all its members predict."""
    members = {name: predictions[name] for name in fusion.members}
    common = set.intersection(*(set(rows["image"]) for rows in members.values()))
    members = {name: rows[rows["image"].isin(common)].reset_index(drop=True) for name, rows in members.items()}
    return complete(fusion.predict(members, images) if common else members[fusion.members[0]], images)


def complete(predictions: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Return predictions in the columns of all tables of predictions, with the source of each image and no target."""
    source = predictions["image"].map(images.set_index("image")["source"])
    unlabeled = predictions.assign(source=source, target=pd.array([None] * len(predictions), "Int8"))
    return unlabeled.assign(fold=np.int8(-1), part="test")[COLUMNS]


if __name__ == "__main__":
    run(describe, main, __doc__)
