"""Select the model: the best single model, unless a fusion is significantly better out of fold.

    python scripts/select_model.py --settings fuse.yaml --models cnn=predict/cnn.parquet mlp=predict/mlp.parquet \\
        --fusions mean=fuse/mean.parquet --train split/train.parquet --output fuse/selected_model.json

The settings are the section fuse of a study. Only out-of-fold rows and the labels of train are read.
"""

import argparse
from pathlib import Path

import pandas as pd

from melanoma.common.cli import log, run
from melanoma.common.errors import InputError
from melanoma.common.files import write_json
from melanoma.config.errors import read_settings
from melanoma.config.study import Fuse
from melanoma.fusion.select_model import select_model
from melanoma.predictions.table import join_labels, named_paths, read_labels, read_predictions


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the options of this script."""
    parser.add_argument("--settings", type=Path, required=True, metavar="YAML", help="the section fuse of a study")
    parser.add_argument("--models", nargs="+", required=True, metavar="NAME=FILE", help="predictions of single models")
    parser.add_argument("--fusions", nargs="*", default=[], metavar="NAME=FILE", help="predictions of fusions")
    parser.add_argument("--train", type=Path, required=True, metavar="FILE", help="labels of train")
    parser.add_argument("--tuning-fold", type=int, metavar="FOLD", help="a fold to leave out: trials were scored on it")
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help="the selected model and all tests, JSON",
    )


def main(args: argparse.Namespace) -> None:
    """Read the out-of-fold predictions, test the fusions, write the selected model."""
    labels = read_labels(args.train)
    singles, fusions = (out_of_fold(paths, labels) for paths in (args.models, args.fusions))
    if not singles:
        raise InputError("no single model has out-of-fold predictions (part 'train'); run folds (split.run_folds)")
    selection = select_model(singles, fusions, read_settings(Fuse, args.settings), args.tuning_fold)
    write_json(args.output, selection)
    log.info("selected model: %s; best single model: %s", selection["selected_model"], selection["best_single"])


def out_of_fold(paths: list[str], labels: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the labeled out-of-fold predictions of each model that has any."""
    tables = {name: read_predictions(path).query("part == 'train'") for name, path in named_paths(paths).items()}
    return {name: join_labels(table, labels, name, subset=True) for name, table in tables.items() if len(table)}


if __name__ == "__main__":
    run(describe, main, __doc__)
