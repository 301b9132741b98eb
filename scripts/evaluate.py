"""Judge predictions: AUROC, average precision and Brier score, each with its interval over patients.

    python scripts/evaluate.py --predictions cnn=predict/cnn.parquet fused=fuse/mean.parquet \\
        --labels split/test_labels.parquet --train split/train.parquet \\
        --output metrics.json --summary summary.txt --curves curves.json

    python scripts/evaluate.py --predictions mine.csv --threshold 0.5 --output metrics.json

The second form scores any CSV with image_name, target, prob and, if there, patient_id. Of the workflow's
predictions only the rows of test are judged; with --train their out-of-fold rows are judged, too, under
"validation".
"""

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from melanoma.command import log, run
from melanoma.errors import InputError
from melanoma.evaluation import Settings, curves, evaluate, summary, validate
from melanoma.files import read_yaml, write_json, write_text
from melanoma.ledger import describe_ledger, open_test_labels, read_ledger, test_digest, warn_of_many
from melanoma.predictions import join_labels, named_paths, read_labels, read_predictions


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the options of this script."""
    parser.add_argument("--predictions", nargs="+", required=True, metavar="[NAME=]FILE", help="Parquet or CSV")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="labels of test: image, target")
    parser.add_argument("--train", type=Path, metavar="FILE", help="labels of train, to judge out-of-fold predictions")
    parser.add_argument("--threshold", type=float, metavar="T", help="count outcomes where probability >= T")
    parser.add_argument("--settings", type=Path, metavar="YAML", help="replicates, confidence, seed")
    parser.add_argument("--replicates", type=int, help=f"bootstrap resamples (default {Settings.replicates})")
    parser.add_argument("--confidence", type=float, help=f"of the intervals (default {Settings.confidence})")
    parser.add_argument("--seed", type=int, help=f"of the resampling (default {Settings.seed})")
    describe_ledger(parser)
    parser.add_argument(
        "--most-configurations", type=int, metavar="N", help="warn where the ledger has more than these"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="metrics, JSON")
    parser.add_argument("--summary", type=Path, metavar="FILE", help="the table that is printed, as text")
    parser.add_argument("--curves", type=Path, metavar="FILE", help="ROC and precision-recall curves, JSON")


def main(args: argparse.Namespace) -> None:
    """Read, judge, write, and print the summary."""
    settings = read_settings(args)
    labels = read_test_labels(args) if args.labels else None
    train = read_labels(args.train) if args.train else None
    metrics: dict[str, Any] = {}
    drawn: dict[str, Any] = {}
    for name, path in named_paths(args.predictions).items():
        predictions = read_predictions(path)
        test = predictions[predictions["part"] == "test"]
        if labels is not None:
            test = join_labels(test, labels, name)
        metrics[name] = evaluate(test, name, settings, args.threshold)
        drawn[name] = curves(test, name)
        out_of_fold = predictions[predictions["part"] == "train"]
        if train is not None and len(out_of_fold):
            out_of_fold = join_labels(out_of_fold, train, name, subset=True)
            metrics[name]["validation"] = validate(out_of_fold, name, settings)
        if metrics[name]["patients"] is None:
            log.warning("%s: no patients are given, so images are resampled; the intervals come out too narrow", name)
    write_json(args.output, metrics)
    if args.curves:
        write_json(args.curves, drawn)
    text = summary(metrics)
    if args.summary:
        write_text(args.summary, text)
    print(text, end="")


def read_test_labels(args: argparse.Namespace) -> pd.DataFrame:
    """Open the labels of the test, and warn where that has been done for many configurations."""
    labels = open_test_labels(args.labels, "evaluate", list(named_paths(args.predictions)), args)
    if args.ledger is not None and args.most_configurations is not None:
        warn_of_many(read_ledger(args.ledger), test_digest(labels), args.most_configurations)
    return labels


def read_settings(args: argparse.Namespace) -> Settings:
    """Return the settings of the file, if given, overruled by the options, over the defaults."""
    names = [field.name for field in fields(Settings)]
    given = (read_yaml(args.settings) or {}) if args.settings else {}
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise InputError(f"{args.settings}: unknown keys {', '.join(unknown)}; settings are {', '.join(names)}")
    options = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return Settings(**{**given, **options})


if __name__ == "__main__":
    run(describe, main, __doc__)
