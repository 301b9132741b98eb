"""Draw one figure of a study, as SVG or PNG by the output's name.

python scripts/plot.py roc --curves curves.json --metrics metrics.json --output roc.svg
python scripts/plot.py precision-recall --curves curves.json --metrics metrics.json --output pr.svg
python scripts/plot.py reliability --calibration calibration.json --answer answer.json --output reliability.svg
python scripts/plot.py decision --curves curves.json --metrics metrics.json --answer answer.json --output decision.svg
python scripts/plot.py learning --histories cnn:fold-0=history.csv --output learning_curves.svg
python scripts/plot.py schedules --recipes cnn=cnn.yaml --output schedules.svg
python scripts/plot.py sampling --recipes cnn=cnn.yaml --train train.parquet --output sampling.svg
python scripts/plot.py balance --train train.parquet --audit leakage.json --output class_balance.svg
python scripts/plot.py tuning --trials trials.csv --settings tune.yaml --output tuning.svg
python scripts/plot.py samples --images images.h5 --train train.parquet --output samples.png
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from melanoma import figures
from melanoma.command import run
from melanoma.errors import InputError
from melanoma.files import read_json, read_yaml
from melanoma.parallel_coordinates import parallel_coordinates
from melanoma.predictions import named_path
from melanoma.sampling import epoch_counts
from melanoma.store import ImageStore

HISTORY = ["epoch", "train_loss", "validation_loss", "validation_auroc"]


def describe(parser: argparse.ArgumentParser) -> None:
    """Add a subcommand for each figure."""
    commands = parser.add_subparsers(dest="figure", required=True)

    def add(name: str, draw: Callable[[argparse.Namespace], None]) -> Callable[..., argparse.Action]:
        command = commands.add_parser(name, help=draw.__doc__, description=draw.__doc__)
        command.set_defaults(draw=draw)
        command.add_argument("--output", type=Path, required=True, metavar="FILE", help="figure, .svg or .png")
        return command.add_argument

    json_file = {"type": Path, "required": True, "metavar": "JSON"}
    chosen = json_file | {"help": "answer.py's choice, whose intervals are drawn"}

    def add_curves(name: str, draw: Callable[[argparse.Namespace], None]) -> Callable[..., argparse.Action]:
        option = add(name, draw)
        option("--curves", **json_file, help="curves of evaluate.py")
        option("--metrics", **json_file, help="metrics of evaluate.py")
        return option

    add_curves("roc", draw_roc)
    add_curves("precision-recall", draw_precision_recall)
    add_curves("decision", draw_decision)("--answer", **chosen)
    option = add("reliability", draw_reliability)
    option("--calibration", **json_file, help="reliability curves of evaluate.py")
    option("--answer", **chosen)
    option = add("learning", draw_learning)
    option("--histories", nargs="+", required=True, metavar="MODEL:RUN=CSV", help="history of each run")
    option("--recipes", nargs="*", default=[], metavar="MODEL=YAML", help="recipes, for how the epoch is chosen")
    option = add("schedules", draw_schedules)
    option("--recipes", nargs="+", required=True, metavar="MODEL=YAML", help="recipe of each network")
    option = add("sampling", draw_sampling)
    option("--recipes", nargs="+", required=True, metavar="MODEL=YAML", help="recipe of each network")
    option("--train", type=Path, required=True, metavar="FILE", help="target of train")
    option = add("balance", draw_balance)
    option("--train", type=Path, required=True, metavar="FILE", help="patients, folds and labels of train")
    option("--audit", **json_file, help="what audit.py counted in the test")
    option = add("tuning", draw_tuning)
    option("--trials", type=Path, required=True, metavar="CSV", help="table of tune.py")
    option("--settings", type=Path, required=True, metavar="YAML", help="score and space of the tuning")
    option = add("samples", draw_samples)
    option("--images", type=Path, required=True, metavar="H5", help="image store")
    option("--train", type=Path, required=True, metavar="FILE", help="row and target of train")
    option("--count", type=int, default=16, help="images of each class (default %(default)s)")
    option("--seed", type=int, default=1, help="another seed, other images (default %(default)s)")


def main(args: argparse.Namespace) -> None:
    """Draw the figure that was asked for."""
    args.draw(args)


def draw_roc(args: argparse.Namespace) -> None:
    """Draw ROC curves."""
    figures.save(figures.roc(read_json(args.curves), read_json(args.metrics)), args.output)


def draw_precision_recall(args: argparse.Namespace) -> None:
    """Draw precision-recall curves."""
    figures.save(figures.precision_recall(read_json(args.curves), read_json(args.metrics)), args.output)


def draw_decision(args: argparse.Namespace) -> None:
    """Draw decision curves."""
    figures.save(figures.decision(read_json(args.curves), read_json(args.metrics), _answer(args)), args.output)


def draw_reliability(args: argparse.Namespace) -> None:
    """Draw reliability curves before and after calibration."""
    figures.save(figures.reliability(read_json(args.calibration), _answer(args)), args.output)


def draw_learning(args: argparse.Namespace) -> None:
    """Draw loss and validation AUROC by epoch."""
    histories: dict[str, dict[str, pd.DataFrame]] = {}
    for name, path in map(named_path, args.histories):
        model, _, run_name = name.partition(":")
        history = pd.read_csv(path)
        missing = [column for column in HISTORY if column not in history]
        if missing or history.empty:
            raise InputError(f"{path}: no history of training: missing {', '.join(missing) or 'any epoch'}")
        histories.setdefault(model, {})[run_name or path.parent.name] = history
    recipes = {name: read_yaml(path) for name, path in map(named_path, args.recipes)}
    choose_by = {name: recipe.get("choose_epoch_by", "auroc") for name, recipe in recipes.items()}
    figures.save(figures.learning_curves(histories, choose_by), args.output)


def draw_schedules(args: argparse.Namespace) -> None:
    """Draw the learning rate by epoch."""
    recipes = {name: read_yaml(path) for name, path in map(named_path, args.recipes)}
    figures.save(figures.plot_schedules(recipes), args.output)


def draw_sampling(args: argparse.Namespace) -> None:
    """Draw what an epoch shows of each class, once and again."""
    targets = pd.read_parquet(args.train)["target"].to_numpy(np.int64)
    shown = {name: epoch_counts(targets, read_yaml(path)) for name, path in map(named_path, args.recipes)}
    figures.save(figures.sampling(pd.DataFrame(shown).T), args.output)


def draw_balance(args: argparse.Namespace) -> None:
    """Draw images and patients by part, fold and class."""
    counts = figures.balance(pd.read_parquet(args.train), read_json(args.audit)["checked"]["test"])
    figures.save(figures.class_balance(counts), args.output)


def draw_tuning(args: argparse.Namespace) -> None:
    """Draw each trial of a tuning as a line through its values to its score."""
    settings = read_yaml(args.settings)
    trials = pd.read_csv(args.trials)
    figures.save(parallel_coordinates(trials, settings["space"], f"validation_{settings['score']}"), args.output)


def draw_samples(args: argparse.Namespace) -> None:
    """Draw a contact sheet of benign and melanoma training images."""
    train, store = pd.read_parquet(args.train), ImageStore(args.images)
    benign, melanoma = (store.read(figures.choose_samples(train, target, args.count, args.seed)) for target in (0, 1))
    figures.save(figures.samples(benign, melanoma), args.output)


def _answer(args: argparse.Namespace) -> str:
    return read_json(args.answer)["answer"]


if __name__ == "__main__":
    run(describe, main, __doc__)
