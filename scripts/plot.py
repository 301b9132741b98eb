"""Draw the figures of one part of a study into a folder.

python scripts/plot.py evaluation --curves curves.json --metrics metrics.json --calibration calibration.json \\
    --selected-model selected_model.json --output report
    roc.svg, precision_recall.svg, folds.svg, reliability.svg, decision.svg; with --robustness robustness.svg
python scripts/plot.py training --histories cnn:fold-0=history.csv --recipes cnn=cnn.yaml --train train.parquet \\
    --images images.h5 --output report
    learning_curves.svg, schedules.svg, sampling.svg; with --images augmentation/MODEL.png for each model of images
python scripts/plot.py data --train train.parquet --audit leakage.json --images images.h5 --output report
    class_balance.svg; with --images samples.png

Beside each .svg stand the same figure as .png and .pdf.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from melanoma.augment.contact_sheet import contact_sheet
from melanoma.common.cli import run
from melanoma.common.errors import InputError
from melanoma.common.files import read_csv, read_json, read_parquet
from melanoma.config.recipe import read_recipe
from melanoma.figures import data, evaluation, training
from melanoma.figures.style import save
from melanoma.images.store import ImageStore
from melanoma.predictions.table import named_path, named_paths
from melanoma.training.sampling import epoch_counts

HISTORY = ["epoch", "train_loss", "train_auroc", "validation_loss", "validation_auroc"]
SAMPLES = 16  # images of each class
SAMPLES_SEED = 1
SHEET_IMAGES = 2  # images of each class
SHEET_EPOCHS = 7


def describe(parser: argparse.ArgumentParser) -> None:
    """Add a subcommand for each part of a study."""
    commands = parser.add_subparsers(dest="part", required=True)

    part = commands.add_parser("evaluation", help=draw_evaluation.__doc__)
    part.set_defaults(draw=draw_evaluation)
    _add_file(part, "--curves", "curves of evaluate.py")
    _add_file(part, "--metrics", "metrics of evaluate.py")
    _add_file(part, "--calibration", "reliability curves of evaluate.py")
    _add_file(part, "--selected-model", "the selected model of select_model.py; its line stands out")
    _add_file(part, "--robustness", "AUROC on corrupted images, of evaluate_robustness.py", required=False)

    part = commands.add_parser("training", help=draw_training.__doc__)
    part.set_defaults(draw=draw_training)
    part.add_argument("--histories", nargs="+", required=True, metavar="MODEL:RUN=CSV", help="history of each run")
    part.add_argument("--recipes", nargs="+", required=True, metavar="MODEL=YAML", help="recipe of each network")
    _add_file(part, "--train", "store rows and labels of the training images")
    _add_file(part, "--images", "image store", required=False)

    part = commands.add_parser("data", help=draw_data.__doc__)
    part.set_defaults(draw=draw_data)
    _add_file(part, "--train", "patients, folds, labels and store rows of the training images")
    _add_file(part, "--audit", "result of check_leakage.py, which has the counts of the test set")
    _add_file(part, "--images", "image store", required=False)

    for part in commands.choices.values():
        part.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="folder of the figures")


def _add_file(parser: argparse.ArgumentParser, option: str, meaning: str, required: bool = True) -> None:
    parser.add_argument(option, type=Path, required=required, metavar="FILE", help=meaning)


def main(args: argparse.Namespace) -> None:
    """Draw the figures of the part on the command line."""
    args.draw(args)


def draw_evaluation(args: argparse.Namespace) -> None:
    """Draw the ROC, precision-recall, reliability and decision curves, and the AUROC on corrupted images."""
    curves, metrics, calibration = (read_json(path) for path in (args.curves, args.metrics, args.calibration))
    selected_model = read_json(args.selected_model)["selected_model"]
    save(evaluation.roc(curves, metrics, selected_model), args.output / "roc.svg")
    save(evaluation.precision_recall(curves, metrics, selected_model), args.output / "precision_recall.svg")
    save(evaluation.folds(curves, selected_model), args.output / "folds.svg")
    save(evaluation.reliability(calibration, selected_model), args.output / "reliability.svg")
    save(evaluation.decision(curves, metrics, selected_model), args.output / "decision.svg")
    if args.robustness is not None:
        save(evaluation.robustness(read_json(args.robustness)), args.output / "robustness.svg")


def draw_training(args: argparse.Namespace) -> None:
    """Draw the learning curves, the learning rates, the images of an epoch, and augmented images."""
    recipes = {name: read_recipe(path) for name, path in named_paths(args.recipes).items()}
    train = read_parquet(args.train)
    monitors = {name: recipe.monitor for name, recipe in recipes.items()}
    learning_curves = training.learning_curves(read_histories(args.histories), monitors)
    save(learning_curves, args.output / "learning_curves.svg")
    save(training.schedules(recipes), args.output / "schedules.svg")
    targets = train["target"].to_numpy(np.int64)
    counts = {name: epoch_counts(targets, recipe) for name, recipe in recipes.items()}
    save(training.sampling(pd.DataFrame(counts).T), args.output / "sampling.svg")
    if args.images is not None:
        store = ImageStore(args.images)
        for name, recipe in recipes.items():
            if recipe.reads_images:
                rows = [
                    row for target in (0, 1) for row in data.choose_samples(train, target, SHEET_IMAGES, recipe.seed)
                ]
                sheet = contact_sheet(store, rows, recipe, SHEET_EPOCHS)
                save(training.augmentation(sheet, name), args.output / "augmentation" / f"{name}.png")


def draw_data(args: argparse.Namespace) -> None:
    """Draw the class balance of images and patients by part and fold, and sample images of both classes."""
    train, audit = read_parquet(args.train), read_json(args.audit)
    counts = data.balance(train, audit["checked"]["test"], audit["unit"])
    save(data.class_balance(counts), args.output / "class_balance.svg")
    if args.images is not None:
        store = ImageStore(args.images)
        benign, melanoma = (store.read(data.choose_samples(train, target, SAMPLES, SAMPLES_SEED)) for target in (0, 1))
        save(data.samples(benign, melanoma), args.output / "samples.png")


def read_histories(files: Iterable[str]) -> dict[str, dict[str, pd.DataFrame]]:
    """Return the history of each run of each model from arguments MODEL:RUN=CSV.

    Raises InputError for a file that is not a history of training.
    """
    histories: dict[str, dict[str, pd.DataFrame]] = {}
    for name, path in map(named_path, files):
        model, _, run_name = name.partition(":")
        history = read_csv(path)
        missing = [column for column in HISTORY if column not in history]
        if missing:
            raise InputError(f"{path}: not a history of training; missing columns: {', '.join(missing)}")
        if history.empty:
            raise InputError(f"{path}: the history of training has no epoch; train this run again")
        histories.setdefault(model, {})[run_name] = history
    return histories


if __name__ == "__main__":
    run(describe, main, __doc__)
