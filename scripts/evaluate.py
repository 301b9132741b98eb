"""Evaluate predictions: ranking, calibration, decision thresholds and comparisons, with intervals over patients.

    python scripts/evaluate.py --predictions cnn=predict/cnn.parquet fused=fuse/mean.parquet \\
        --labels split/test_labels.parquet --train split/train.parquet --output metrics.json \\
        --comparisons comparisons.json --calibration calibration.json \\
        --curves curves.json --test-predictions test_predictions.parquet --summary summary.txt

    python scripts/evaluate.py --predictions mine.csv --threshold 0.5 --output metrics.json

The second form evaluates any CSV with image_name, target, prob and, optionally, patient_id. Only rows of the part test
are evaluated; in a file without a column part, all rows are. With --train, the out-of-fold rows (part train) are
evaluated under "validation", and they decide the thresholds and calibrators. Test rows decide nothing.
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from melanoma.common.cli import log, run
from melanoma.common.errors import InputError
from melanoma.common.files import read_parquet, write_json, write_parquet, write_text
from melanoma.config.errors import explain, read_settings
from melanoma.config.study import Evaluate
from melanoma.evaluation.curves import curves
from melanoma.evaluation.decisions import Decisions, decide
from melanoma.evaluation.evaluate import comparisons, evaluate, reliability, validate
from melanoma.evaluation.subgroups import join_metadata
from melanoma.evaluation.summary import apart, summary
from melanoma.predictions.table import join_labels, named_paths, read_labels, read_predictions
from melanoma.predictions.test_access_log import (
    describe_access_log,
    open_test_labels,
    read_access_log,
    test_digest,
    warn_of_many,
)

SCALARS = ("auroc", "average_precision", "partial_auroc", "brier")  # those that TensorBoard shows


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the options of this script."""
    add = parser.add_argument
    add("--predictions", nargs="+", required=True, metavar="[NAME=]FILE", help="Parquet or CSV")
    add("--labels", type=Path, metavar="FILE", help="labels of test: image, target")
    add("--train", type=Path, metavar="FILE", help="labels of train, for thresholds and calibrators")
    metadata = "metadata of the test images, for subgroups and lesions, Parquet"
    add("--test", type=Path, metavar="FILE", help=metadata)
    add("--threshold", type=float, metavar="T", help="also evaluate this threshold, probability >= T")
    prevalence = "share of melanomas that the training saw, if the predictions do not have it"
    add("--training-prevalence", nargs="*", default=[], metavar="NAME=SHARE", help=prevalence)
    add(
        "--settings",
        type=Path,
        metavar="YAML",
        help="the section evaluate of a study; each option below overrides one key",
    )
    default = Evaluate()
    add("--replicates", type=int, help=f"bootstrap replicates (default {default.replicates})")
    add("--confidence-level", type=float, help=f"of the intervals (default {default.confidence_level})")
    add("--seed", type=int, help=f"of the bootstrap (default {default.seed})")
    add("--target-sensitivity", type=float, help=f"of one of the thresholds (default {default.target_sensitivity})")
    shares = " ".join(map(str, default.threshold_probabilities))
    add("--threshold-probabilities", type=float, nargs="*", metavar="T", help=f"of the net benefit (default {shares})")
    add("--prevalence", type=float, metavar="SHARE", help="share of melanomas where the model would be used")
    describe_access_log(parser)
    add("--max-test-configurations", type=int, metavar="N", help="warn if the access log has more configurations")
    add("--output", type=Path, required=True, metavar="FILE", help="metrics, JSON")
    add("--comparisons", type=Path, metavar="FILE", help="comparison of each pair of models, JSON")
    add("--calibration", type=Path, metavar="FILE", help="calibrators and reliability curves, JSON")
    add(
        "--summary",
        type=Path,
        metavar="FILE",
        help="the table of all models, as text, instead of printing it",
    )
    add("--curves", type=Path, metavar="FILE", help="ROC, precision-recall and decision curves, JSON")
    add("--test-predictions", type=Path, metavar="FILE", help="labels and probabilities of all models, Parquet")
    add("--tensorboard", type=Path, metavar="FOLDER", help="folder of the metrics of each model, for TensorBoard")


def main(args: argparse.Namespace) -> None:
    """Evaluate all predictions and write the results."""
    settings = settings_with_options(args)
    predictions = {name: read_predictions(path) for name, path in named_paths(args.predictions).items()}
    prevalences = recorded_prevalences(predictions) | read_prevalences(args.training_prevalence, list(predictions))
    out_of_fold = labeled_parts(predictions, "train", read_labels(args.train), subset=True) if args.train else {}
    out_of_fold = {name: table for name, table in out_of_fold.items() if len(table)}
    decisions = {name: Decisions() for name in predictions}
    for name, table in out_of_fold.items():
        made_for = predictions[name][predictions[name]["part"] == "test"].drop(columns="target")
        decisions[name] = decide(table, name, settings, prevalences.get(name), made_for)
    if args.threshold is not None:
        decisions = {name: with_threshold(each, args.threshold) for name, each in decisions.items()}
    test = labeled_parts(predictions, "test", read_test_labels(args, settings) if args.labels else None)
    metadata = read_parquet(args.test) if args.test else None
    known = test if metadata is None else {name: join_metadata(table, metadata) for name, table in test.items()}
    metrics = evaluate(known, settings, decisions)
    for name, entry in validate(out_of_fold, settings).items():
        metrics[name]["validation"] = entry
    for name, entry in metrics.items():
        if entry["unit"] != "patient":
            drawn = entry["unit"]
            log.warning("%s: patients are unknown, so the bootstrap draws %ss; intervals are too narrow", name, drawn)
    for name in apart(metrics):
        log.warning("%s: the intervals of its AUROC on the test and out of fold do not overlap", name)
    write_json(args.output, metrics)
    if args.comparisons:
        write_json(args.comparisons, comparisons(test, settings))
    if args.calibration:
        write_json(args.calibration, reliability(test, settings, decisions))
    if args.curves:
        by_model = {name: curves(test[name], name, settings, decisions[name], out_of_fold.get(name)) for name in test}
        write_json(args.curves, by_model)
    if args.test_predictions:
        write_parquet(args.test_predictions, side_by_side(test))
    if args.tensorboard:
        show_in_tensorboard(metrics, args.tensorboard)
    text = summary(metrics)
    if args.summary:
        write_text(args.summary, text)
    else:
        print(text, end="")


def show_in_tensorboard(metrics: Mapping[str, Any], folder: Path) -> None:
    """Write the metrics of each model as scalars to FOLDER/MODEL, in place of those of an earlier evaluation."""
    from melanoma.compute.event_file import replace_scalars

    scalars: dict[str, dict[str, float]] = {}
    for name, entry in metrics.items():
        parts = {"test": entry, "out_of_fold": entry.get("validation")}
        known = [(f"final/{part}_{key}", found[key]) for part, found in parts.items() if found for key in SCALARS]
        scalars[name] = {label: interval["value"] for label, interval in known}
    replace_scalars(folder, scalars)


def labeled_parts(
    predictions: Mapping[str, pd.DataFrame], part: str, labels: pd.DataFrame | None, subset: bool = False
) -> dict[str, pd.DataFrame]:
    """Return the rows of each model in one part, with `labels`, or without these with the labels of its file."""
    rows = {name: table[table["part"] == part] for name, table in predictions.items()}
    if labels is None:
        return rows
    return {name: join_labels(table, labels, name, subset) for name, table in rows.items()}


def side_by_side(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return image, patient and target, and the probability of each model in a column of its name.

    A probability is NaN if the model does not predict the image.
    """
    known = pd.concat([table[["image", "patient", "target"]] for table in tables.values()]).drop_duplicates("image")
    probabilities = {
        name: known["image"].map(table.set_index("image")["probability"]) for name, table in tables.items()
    }
    return known.assign(**probabilities).reset_index(drop=True)


def read_test_labels(args: argparse.Namespace, settings: Evaluate) -> pd.DataFrame:
    """Read the labels of the test, and warn if they were read for too many configurations."""
    labels = open_test_labels(args.labels, "evaluate", list(named_paths(args.predictions)), args)
    if args.test_access_log is not None:
        warn_of_many(read_access_log(args.test_access_log), test_digest(labels), settings.max_test_configurations)
    return labels


def with_threshold(decisions: Decisions, threshold: float) -> Decisions:
    """Return the decisions with one more threshold, by the name given."""
    return replace(decisions, thresholds={**decisions.thresholds, "given": threshold})


def recorded_prevalences(predictions: Mapping[str, pd.DataFrame]) -> dict[str, float]:
    """Return the mean trained_prevalence of each model whose file has it."""
    means = {name: table["trained_prevalence"].mean() for name, table in predictions.items()}
    return {name: float(mean) for name, mean in means.items() if pd.notna(mean)}


def read_prevalences(texts: list[str], names: list[str]) -> dict[str, float]:
    """Return the share of each 'NAME=SHARE' by its name; raise InputError for an unknown model or a wrong share."""
    shares = {}
    for text in texts:
        name, _, share = text.partition("=")
        try:
            shares[name] = float(share)
        except ValueError:
            shares[name] = 0.0
        if name not in names or not 0 < shares[name] < 1:
            wanted = f"NAME=SHARE, NAME one of {', '.join(names)} and SHARE between 0 and 1"
            raise InputError(f"--training-prevalence {text}: give {wanted}")
    return shares


def settings_with_options(args: argparse.Namespace) -> Evaluate:
    """Return the settings of the file, or the defaults, with the values of the options that are given."""
    settings = read_settings(Evaluate, args.settings) if args.settings else Evaluate()
    values = settings.dump()
    given = {name: getattr(args, name, None) for name in values}
    values |= {name: value for name, value in given.items() if value is not None}
    try:
        return Evaluate.model_validate(values)
    except ValidationError as error:
        lines = "; ".join(explain(error, Evaluate, values))
        raise InputError(f"wrong option: {lines}; see scripts/evaluate.py --help") from error


if __name__ == "__main__":
    run(describe, main, __doc__)
