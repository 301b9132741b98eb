"""Evaluate a bundle on labeled sources without the study that it comes from: each source is an external test.

python scripts/evaluate_bundle.py --bundle bundles/mine --configfile data.yaml --output external.json

The file has the sections data and, optionally, evaluate of a study. Sources of role predict get predictions only. After
a kill, the same command goes on.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import Field

from melanoma.bundle.model import BundledModel
from melanoma.classify.answers import member_predictions
from melanoma.classify.chunks import compute
from melanoma.common.cli import log, run
from melanoma.common.errors import InputError, listing
from melanoma.common.files import write_json, write_parquet
from melanoma.config.base import Section, help_text
from melanoma.config.data import Data
from melanoma.config.errors import read_settings
from melanoma.config.recipe import Resources
from melanoma.config.study import Evaluate
from melanoma.data.catalog import build_catalog
from melanoma.evaluation.decisions import Decisions
from melanoma.evaluation.external import evaluate_external
from melanoma.evaluation.summary import external_summary
from melanoma.stats.calibration import NONE, Choice, calibrator_from


class DataFile(Section):
    """The sources to evaluate a bundle on, and how."""

    data: Data = Field(description=Data.__doc__)
    evaluate: Evaluate = Field(default_factory=Evaluate, description=Evaluate.__doc__)


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    add = parser.add_argument
    add("--bundle", type=Path, required=True, metavar="FOLDER", help="folder that bundle.py wrote")
    add("--configfile", type=Path, required=True, metavar="YAML", help="sections data and evaluate of a study")
    add("--output", type=Path, required=True, metavar="JSON", help="metrics by source and model, to write")
    add("--predictions", type=Path, metavar="FILE", help="also write the predictions of all sources, Parquet")
    add("--gpus", type=int, default=0, help=help_text(Resources, "gpus"))
    add("--threads", type=int, default=1, help=help_text(Resources, "threads"))


def main(args: argparse.Namespace) -> None:
    """Predict all images of the sources, evaluate those that are labeled, and write the results."""
    bundle = BundledModel.read(args.bundle)
    given = read_settings(DataFile, args.configfile)
    catalog = read_catalog(given.data, args.configfile)
    predictions, images = predict(bundle, catalog, args)
    if args.predictions:
        write_parquet(args.predictions, predictions)
    name, about = bundle.about["name"], bundle.about
    calibrator = NONE if about["calibrator"] is None else calibrator_from(about["calibrator"])
    decisions = {name: Decisions(about["thresholds"], Choice(calibrator, {}))}
    labels = images[images["role"] != "predict"][["image", "target", "unit", "source"]]
    tests = evaluate_external({name: predictions}, images, labels, given.evaluate, decisions, {})
    write_json(args.output, tests)
    print(external_summary(tests), end="")


def read_catalog(data: Data, path: Path) -> pd.DataFrame:
    """Return the catalog of the sources. Nothing is split, so each role but predict means a labeled source."""
    without = [source.name for source in data.sources if source.images is None]
    if without:
        raise InputError(f"{path}: sources without images: {', '.join(without)}. A bundle is evaluated on image files")
    labeled = [
        source if source.role == "predict" else source.model_copy(update={"role": "study"}) for source in data.sources
    ]
    return build_catalog(data.model_copy(update={"sources": tuple(labeled)}))[0]


def predict(bundle: BundledModel, catalog: pd.DataFrame, args: argparse.Namespace) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the predictions of the readable images of a catalog, and the rows of these images with their sizes."""
    unfinished = args.output.with_name(f"{args.output.name}.resume")
    outputs = compute(bundle, catalog, unfinished, args.gpus, args.threads)
    quality = outputs.quality
    bad = quality[~quality["readable"].astype(bool)]
    if len(bad):
        unreadable = listing(bad["file"].astype(str) + ": " + bad["problem"].astype(str))
        log.warning("%d images are unreadable and not evaluated:\n%s", len(bad), unreadable)
    known = catalog.assign(width=quality["width"].to_numpy(), height=quality["height"].to_numpy())
    known = known[quality["readable"].to_numpy(bool)].reset_index(drop=True)
    predictions = bundle.predict(member_predictions(bundle, outputs, known), known, outputs.embeddings)
    shutil.rmtree(unfinished, ignore_errors=True)
    source = known["source"].to_numpy()
    return predictions.assign(source=source, part="test", fold=np.int8(-1)), known


if __name__ == "__main__":
    run(describe, main, __doc__)
