"""Evaluate predictions: discrimination, calibration, decisions and comparisons, each with its interval over patients.

    python scripts/evaluate.py --predictions cnn=predict/cnn.parquet fused=fuse/mean.parquet \\
        --labels split/test_labels.parquet --train split/train.parquet --output metrics.json \\
        --comparisons comparisons.json --calibration calibration.json \\
        --curves curves.json --summary summary.txt

    python scripts/evaluate.py --predictions mine.csv --threshold 0.5 --output metrics.json

The second form scores any CSV with image_name, target, prob and, if there, patient_id. Only rows of part 'test' are
evaluated, and a file without the column `part` is all test. With --train the rows of part 'train', out of fold, are
evaluated under "validation", and thresholds and calibrations are chosen on them; nothing is ever chosen on test.
"""

import argparse
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

import pandas as pd

from melanoma.common.cli import log, run
from melanoma.common.errors import InputError
from melanoma.common.files import read_yaml, write_json, write_text
from melanoma.evaluation.curves import curves
from melanoma.evaluation.evaluate import Decisions, Settings, comparisons, decide, evaluate, reliability, validate
from melanoma.evaluation.summary import summary
from melanoma.predictions.table import join_labels, named_paths, read_labels, read_predictions
from melanoma.predictions.test_access_log import (
    describe_access_log,
    open_test_labels,
    read_access_log,
    test_digest,
    warn_of_many,
)


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the options of this script."""
    add = parser.add_argument
    add("--predictions", nargs="+", required=True, metavar="[NAME=]FILE", help="Parquet or CSV")
    add("--labels", type=Path, metavar="FILE", help="labels of test: image, target")
    add("--train", type=Path, metavar="FILE", help="labels of train, for what is chosen on out-of-fold predictions")
    add("--threshold", type=float, metavar="T", help="also count outcomes where probability >= T")
    prevalence = "share of melanomas a model was trained at, where the file does not say it"
    add("--training-prevalence", nargs="*", default=[], metavar="NAME=SHARE", help=prevalence)
    add(
        "--settings",
        type=Path,
        metavar="YAML",
        help="replicates, confidence_level, seed, target_sensitivity, threshold_probabilities",
    )
    add("--replicates", type=int, help=f"bootstrap resamples (default {Settings.replicates})")
    add("--confidence-level", type=float, help=f"of the intervals (default {Settings.confidence_level})")
    add("--seed", type=int, help=f"of the resampling (default {Settings.seed})")
    add(
        "--target-sensitivity",
        type=float,
        help=f"that one of the thresholds keeps (default {Settings.target_sensitivity})",
    )
    shares = " ".join(map(str, Settings.threshold_probabilities))
    add(
        "--threshold-probabilities",
        type=float,
        nargs="*",
        metavar="T",
        help=f"threshold probabilities (default {shares})",
    )
    describe_access_log(parser)
    add("--max-test-configurations", type=int, metavar="N", help="warn where the access log has more than these")
    add("--output", type=Path, required=True, metavar="FILE", help="metrics, JSON")
    add("--comparisons", type=Path, metavar="FILE", help="every two models compared, JSON")
    add("--calibration", type=Path, metavar="FILE", help="calibrators and reliability curves, JSON")
    add("--summary", type=Path, metavar="FILE", help="the table that is printed, as text")
    add("--curves", type=Path, metavar="FILE", help="ROC, precision-recall and decision curves, JSON")


def main(args: argparse.Namespace) -> None:
    """Read, decide, evaluate, write, and print the summary."""
    settings = read_settings(args)
    predictions = {name: read_predictions(path) for name, path in named_paths(args.predictions).items()}
    prevalences = recorded_prevalences(predictions) | read_prevalences(args.training_prevalence, list(predictions))
    out_of_fold = labeled_parts(predictions, "train", read_labels(args.train), subset=True) if args.train else {}
    out_of_fold = {name: table for name, table in out_of_fold.items() if len(table)}
    decisions = {name: Decisions() for name in predictions}
    for name, table in out_of_fold.items():
        decisions[name] = decide(table, name, settings, prevalences.get(name))
    if args.threshold is not None:
        decisions = {name: with_threshold(made, args.threshold) for name, made in decisions.items()}
    test = labeled_parts(predictions, "test", read_test_labels(args) if args.labels else None)
    metrics = evaluate(test, settings, decisions)
    for name, entry in validate(out_of_fold, settings).items():
        metrics[name]["validation"] = entry
    for name in (name for name, entry in metrics.items() if entry["patients"] is None):
        log.warning("%s: no patients are given, so images are resampled; the intervals come out too narrow", name)
    write_json(args.output, metrics)
    if args.comparisons:
        write_json(args.comparisons, comparisons(test, settings))
    if args.calibration:
        write_json(args.calibration, reliability(test, settings, decisions))
    if args.curves:
        write_json(args.curves, {name: curves(test[name], name, settings, decisions[name]) for name in test})
    text = summary(metrics)
    if args.summary:
        write_text(args.summary, text)
    else:
        print(text, end="")


def labeled_parts(
    predictions: Mapping[str, pd.DataFrame], part: str, labels: pd.DataFrame | None, subset: bool = False
) -> dict[str, pd.DataFrame]:
    """Return each model's rows of one part, with their labels, or the files' own where none are given."""
    rows = {name: table[table["part"] == part] for name, table in predictions.items()}
    if labels is None:
        return rows
    return {name: join_labels(table, labels, name, subset) for name, table in rows.items()}


def read_test_labels(args: argparse.Namespace) -> pd.DataFrame:
    """Open the labels of the test, and warn where that has been done for many configurations."""
    labels = open_test_labels(args.labels, "evaluate", list(named_paths(args.predictions)), args)
    if args.test_access_log is not None and args.max_test_configurations is not None:
        warn_of_many(read_access_log(args.test_access_log), test_digest(labels), args.max_test_configurations)
    return labels


def with_threshold(decisions: Decisions, threshold: float) -> Decisions:
    """Return the decisions with one more threshold, named given."""
    return replace(decisions, thresholds={**decisions.thresholds, "given": threshold})


def recorded_prevalences(predictions: Mapping[str, pd.DataFrame]) -> dict[str, float]:
    """Return the share of melanomas that each model was trained at, the mean of its folds', where its file says it."""
    means = {name: table["trained_prevalence"].mean() for name, table in predictions.items()}
    return {name: float(mean) for name, mean in means.items() if pd.notna(mean)}


def read_prevalences(texts: list[str], names: list[str]) -> dict[str, float]:
    """Split each 'NAME=SHARE'; raise InputError for a name that is no model or a share that is not between 0 and 1."""
    found = {}
    for text in texts:
        name, _, share = text.partition("=")
        try:
            found[name] = float(share)
        except ValueError:
            found[name] = 0.0
        if name not in names or not 0 < found[name] < 1:
            wanted = f"NAME=SHARE, NAME one of {', '.join(names)} and SHARE between 0 and 1"
            raise InputError(f"--training-prevalence {text}: give {wanted}")
    return found


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
