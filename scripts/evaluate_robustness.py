"""Evaluate the predictions of corrupted test images: the AUROC by corruption and severity, with intervals.

python scripts/evaluate_robustness.py --predictions cnn=predict/cnn.parquet --corrupted cnn=robustness/cnn.parquet \\
    --labels split/test_labels.parquet --settings robustness.yaml --output robustness.json
"""

import argparse
from pathlib import Path

from melanoma.common.cli import run
from melanoma.common.files import read_parquet, write_json
from melanoma.config.errors import read_settings
from melanoma.config.study import Evaluate
from melanoma.evaluation.robustness import robustness
from melanoma.predictions.table import join_labels, named_paths, read_predictions
from melanoma.predictions.test_access_log import describe_access_log, open_test_labels


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the options of this script."""
    add = parser.add_argument
    add("--predictions", nargs="+", required=True, metavar="NAME=FILE", help="predictions of the images as they are")
    add("--corrupted", nargs="+", required=True, metavar="NAME=FILE", help="predictions of corrupted images")
    add("--labels", type=Path, required=True, help="targets of the test images, Parquet")
    add("--settings", type=Path, required=True, metavar="YAML", help="replicates, confidence_level, seed")
    describe_access_log(parser)
    add("--output", type=Path, required=True, help="the AUROC by model, corruption and severity, JSON to write")


def main(args: argparse.Namespace) -> None:
    """Evaluate all models and write the result."""
    settings, corrupted = read_settings(Evaluate, args.settings), named_paths(args.corrupted)
    labels = open_test_labels(args.labels, "robustness", list(corrupted), args)
    results = {}
    for name, path in named_paths(args.predictions).items():
        table = read_predictions(path)
        test = join_labels(table[table["part"] == "test"], labels, name)
        results[name] = robustness(test, read_parquet(corrupted[name]), settings, name)
    write_json(args.output, results)


if __name__ == "__main__":
    run(describe, main, __doc__)
