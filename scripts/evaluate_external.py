"""Evaluate the predictions of external tests, each source as a test set of its own.

python scripts/evaluate_external.py --settings evaluate.yaml --predictions cnn=external/cnn.parquet \\
    --external split/external.parquet --labels split/external_labels.parquet --metrics evaluate/metrics.json \\
    --calibration evaluate/calibration.json --output evaluate/external.json --summary evaluate/external.txt

Thresholds and calibrators are those of the study. The labels of the external tests decide nothing.
"""

import argparse
from pathlib import Path

from melanoma.common.cli import run
from melanoma.common.files import read_json, read_parquet, write_json, write_text
from melanoma.config.errors import read_settings
from melanoma.config.study import Evaluate
from melanoma.evaluation.decisions import Decisions
from melanoma.evaluation.external import evaluate_external
from melanoma.evaluation.summary import external_summary
from melanoma.predictions.table import named_paths, read_predictions
from melanoma.predictions.test_access_log import describe_access_log, open_external_labels
from melanoma.stats import calibration, thresholds


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    add = parser.add_argument
    add("--settings", type=Path, required=True, help="the section evaluate of a study")
    add("--predictions", nargs="+", required=True, metavar="NAME=FILE", help="predictions of external sources")
    add("--external", type=Path, required=True, help="images of external sources, Parquet")
    add("--labels", type=Path, required=True, help="targets, units and sources of external tests, Parquet")
    add("--metrics", type=Path, required=True, help="metrics of the study, JSON")
    add("--calibration", type=Path, required=True, help="calibrators of the study, JSON")
    describe_access_log(parser)
    add("--output", type=Path, required=True, help="metrics by source and model, JSON to write")
    add("--summary", type=Path, required=True, help="a table for each external test, text to write")


def main(args: argparse.Namespace) -> None:
    """Evaluate all models on each external test and write the result."""
    paths = {name: path for name, path in named_paths(args.predictions).items() if len(read_parquet(path))}
    predictions = {name: read_predictions(path) for name, path in paths.items()}
    labels = open_external_labels(args.labels, list(predictions), args)
    images = read_parquet(args.external).query("role == 'test'")
    tested = {name: table[table["image"].isin(images["image"])] for name, table in predictions.items()}
    rules, calibrators = thresholds.load(args.metrics), calibration.load(args.calibration)
    decisions = {
        name: Decisions(rules[name], calibration.Choice(calibrators[name], {}) if name in calibrators else None)
        for name in tested
    }
    settings, study = read_settings(Evaluate, args.settings), read_json(args.metrics)
    tests = evaluate_external(tested, images, labels, settings, decisions, study)
    write_json(args.output, tests)
    write_text(args.summary, external_summary(tests, study))


if __name__ == "__main__":
    run(describe, main, __doc__)
