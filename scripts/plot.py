"""Draw the figures of one part of a study into a folder, all in one process.

python scripts/plot.py evaluation --curves curves.json --metrics metrics.json --calibration calibration.json \\
    --selected-model selected_model.json --output report
    roc.svg, precision_recall.svg, reliability.svg, decision.svg
python scripts/plot.py training --histories cnn:fold-0=history.csv --recipes cnn=cnn.yaml --train train.parquet \\
    --images images.h5 --output report
    learning_curves.svg, schedules.svg, sampling.svg; with images augmentation/MODEL.png of each model that sees them
python scripts/plot.py data --train train.parquet --audit leakage.json --images images.h5 --output report
    class_balance.svg; with images samples.png
"""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.augment.contact_sheet import contact_sheet
from melanoma.common.cli import run
from melanoma.common.errors import InputError
from melanoma.common.files import read_json, read_yaml
from melanoma.images.store import ImageStore
from melanoma.predictions.table import named_path, named_paths
from melanoma.report import figures
from melanoma.training.sampling import epoch_counts

HISTORY = ["epoch", "train_loss", "validation_loss", "validation_auroc"]
SAMPLES = 16  # images of each class
SAMPLES_SEED = 1
SHEET_IMAGES = 2  # of each class
SHEET_EPOCHS = 7


def describe(parser: argparse.ArgumentParser) -> None:
    """Add a subcommand for each part of a study."""
    commands = parser.add_subparsers(dest="part", required=True)
    file = {"type": Path, "required": True, "metavar": "FILE"}
    store = {"type": Path, "metavar": "H5", "help": "image store"}

    part = commands.add_parser("evaluation", help=draw_evaluation.__doc__)
    part.set_defaults(draw=draw_evaluation)
    part.add_argument("--curves", **file, help="curves of evaluate.py")
    part.add_argument("--metrics", **file, help="metrics of evaluate.py")
    part.add_argument("--calibration", **file, help="reliability curves of evaluate.py")
    part.add_argument("--selected-model", **file, help="select_model.py's choice, whose intervals are drawn")

    part = commands.add_parser("training", help=draw_training.__doc__)
    part.set_defaults(draw=draw_training)
    part.add_argument("--histories", nargs="+", required=True, metavar="MODEL:RUN=CSV", help="history of each run")
    part.add_argument("--recipes", nargs="+", required=True, metavar="MODEL=YAML", help="recipe of each network")
    part.add_argument("--train", **file, help="row and target of train")
    part.add_argument("--images", **store)

    part = commands.add_parser("data", help=draw_data.__doc__)
    part.set_defaults(draw=draw_data)
    part.add_argument("--train", **file, help="patients, folds, labels and rows of train")
    part.add_argument("--audit", **file, help="what audit.py counted in the test")
    part.add_argument("--images", **store)

    for part in commands.choices.values():
        part.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="folder of the figures")


def main(args: argparse.Namespace) -> None:
    """Draw the figures of the part that was asked for."""
    args.draw(args)


def draw_evaluation(args: argparse.Namespace) -> None:
    """Draw ROC, precision-recall, reliability and decision curves."""
    curves, metrics = read_json(args.curves), read_json(args.metrics)
    selected_model = read_json(args.selected_model)["selected_model"]
    figures.save(figures.roc(curves, metrics), args.output / "roc.svg")
    figures.save(figures.precision_recall(curves, metrics), args.output / "precision_recall.svg")
    figures.save(figures.reliability(read_json(args.calibration), selected_model), args.output / "reliability.svg")
    figures.save(figures.decision(curves, metrics, selected_model), args.output / "decision.svg")


def draw_training(args: argparse.Namespace) -> None:
    """Draw learning curves, learning rates, what an epoch shows, and augmented images."""
    recipes = {name: read_yaml(path) for name, path in named_paths(args.recipes).items()}
    train = pd.read_parquet(args.train)
    choose_by = {name: recipe.get("monitor", "auroc") for name, recipe in recipes.items()}
    learning = figures.learning_curves(read_histories(args.histories), choose_by)
    figures.save(learning, args.output / "learning_curves.svg")
    figures.save(figures.plot_schedules(recipes), args.output / "schedules.svg")
    targets = train["target"].to_numpy(np.int64)
    shown = {name: epoch_counts(targets, recipe) for name, recipe in recipes.items()}
    figures.save(figures.sampling(pd.DataFrame(shown).T), args.output / "sampling.svg")
    if args.images is not None:
        store = ImageStore(args.images)
        for name, recipe in recipes.items():
            if "augmentation" in recipe:
                sheet = figures.augmentation(augmented(store, train, recipe), name)
                figures.save(sheet, args.output / "augmentation" / f"{name}.png")


def draw_data(args: argparse.Namespace) -> None:
    """Draw images and patients by part, fold and class, and a contact sheet of benign and melanoma training images."""
    train = pd.read_parquet(args.train)
    counts = figures.balance(train, read_json(args.audit)["checked"]["test"])
    figures.save(figures.class_balance(counts), args.output / "class_balance.svg")
    if args.images is not None:
        store = ImageStore(args.images)
        benign, melanoma = (
            store.read(figures.choose_samples(train, target, SAMPLES, SAMPLES_SEED)) for target in (0, 1)
        )
        figures.save(figures.samples(benign, melanoma), args.output / "samples.png")


def read_histories(files: Iterable[str]) -> dict[str, dict[str, pd.DataFrame]]:
    """Return the history of each run of each model; raise InputError for a file that is none."""
    histories: dict[str, dict[str, pd.DataFrame]] = {}
    for name, path in map(named_path, files):
        model, _, run_name = name.partition(":")
        history = pd.read_csv(path)
        missing = [column for column in HISTORY if column not in history]
        if missing or history.empty:
            raise InputError(f"{path}: no history of training: missing {', '.join(missing) or 'any epoch'}")
        histories.setdefault(model, {})[run_name or path.parent.name] = history
    return histories


def augmented(store: ImageStore, train: pd.DataFrame, recipe: dict[str, Any]) -> NDArray[np.uint8]:
    """Return training images of both classes as a recipe's augmentation shows them to the network, epoch by epoch."""
    rows = [row for target in (0, 1) for row in figures.choose_samples(train, target, SHEET_IMAGES, recipe["seed"])]
    return contact_sheet(store, rows, recipe, SHEET_EPOCHS)


if __name__ == "__main__":
    run(describe, main, __doc__)
