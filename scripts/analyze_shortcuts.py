"""Shortcut (acquisition-bias) analysis: no-pixel baselines, and AUROC within size, patient and subgroups.

    python scripts/analyze_shortcuts.py --settings evaluate.yaml --predictions cnn=predict/cnn.parquet --folds 0 \\
        --train split/train.parquet --test split/test.parquet --labels split/test_labels.parquet \\
        --output evaluate/shortcuts.json

The output has baselines, differences, models and subgroups for test and for out_of_fold
(melanoma.evaluation.results.Shortcuts).
"""

import argparse
from pathlib import Path

import pandas as pd

from melanoma.common.cli import run
from melanoma.common.files import read_parquet, write_json
from melanoma.config.errors import read_settings
from melanoma.config.study import Evaluate
from melanoma.evaluation.results import Shortcuts
from melanoma.evaluation.shortcuts import areas, baselines, differences, find_shortcuts
from melanoma.evaluation.subgroups import join_metadata
from melanoma.predictions.table import join_labels, named_paths, read_labels, read_predictions
from melanoma.predictions.test_access_log import describe_access_log, open_test_labels


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the options of this script."""
    add = parser.add_argument
    add("--settings", type=Path, required=True, metavar="YAML", help="replicates, confidence_level, seed, ...")
    add("--predictions", nargs="+", required=True, metavar="NAME=FILE", help="predictions of models and fusions")
    add("--folds", type=int, nargs="+", required=True, help="the folds that are run")
    add("--test-by", choices=["refit", "fold_mean"], default="refit", help="how the baselines predict test")
    add("--train", type=Path, required=True, help="training images with targets and folds, Parquet")
    add("--test", type=Path, required=True, help="test images, Parquet")
    add("--labels", type=Path, required=True, help="targets of the test images, Parquet")
    describe_access_log(parser)
    add("--output", type=Path, required=True, help="the analysis, JSON to write")


def main(args: argparse.Namespace) -> None:
    """Fit the baselines, analyze every model on the test and out of fold, and write the result."""
    settings = read_settings(Evaluate, args.settings)
    train, test = read_parquet(args.train), read_parquet(args.test)
    models = {name: read_predictions(path) for name, path in named_paths(args.predictions).items()}
    without_pixels = baselines(train, test, args.folds, args.test_by, settings.seed)
    labels = open_test_labels(args.labels, "shortcuts", list(models), args)
    parts = {"test": ("test", test, labels), "out_of_fold": ("train", train, read_labels(args.train))}
    shortcuts: dict[str, Shortcuts] = {}
    for name, part in parts.items():
        blind, tables = labeled(without_pixels, *part), labeled(models, *part)
        shortcuts[name] = {
            "baselines": areas(blind, settings),
            "differences": differences(tables, blind, settings),
            **find_shortcuts(tables, settings),
        }
    write_json(args.output, shortcuts)


def labeled(
    tables: dict[str, pd.DataFrame], part: str, metadata: pd.DataFrame, targets: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """Return the rows of each model in one part, with labels and metadata."""
    joined = {}
    for name, table in tables.items():
        rows = table[table["part"] == part]
        if len(rows):
            rows = join_labels(rows, targets, name, subset=part == "train")
            joined[name] = join_metadata(rows, metadata)
    return joined


if __name__ == "__main__":
    run(describe, main, __doc__)
