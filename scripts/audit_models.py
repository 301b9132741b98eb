"""The second part of the leakage check: trained models, their predictions, and the labels of the test.

python scripts/audit_models.py --settings split.yaml --leakage leakage.json --train train.parquet --test test.parquet \\
    --test-labels test_labels.parquet --weights cnn:fold-0=fold-0/weights.safetensors --predictions cnn=cnn.parquet \\
    --output audited.json
"""

import argparse
from functools import partial
from pathlib import Path

import pandas as pd

from melanoma.common.cli import log, run
from melanoma.common.errors import InputError
from melanoma.common.files import read_json, read_parquet, write_json
from melanoma.config.errors import read_settings
from melanoma.config.recipe import Recipe
from melanoma.config.split import Split
from melanoma.data.metadata_columns import InputEncoder, InputValues
from melanoma.predictions.patient_context import count_images
from melanoma.predictions.table import named_paths
from melanoma.predictions.test_access_log import describe_access_log, open_test_labels
from melanoma.split.leakage import Finding, check_encoder, check_epoch, check_predictions, check_test, require_no_leaks
from melanoma.training.sampling import epoch_order
from melanoma.training.saved_network import from_safetensors


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the options of this script."""
    add = parser.add_argument
    add("--settings", type=Path, required=True, help="the section split of a study")
    add("--leakage", type=Path, required=True, help="findings of check_leakage.py, to which new ones are added")
    add("--train", type=Path, required=True, help="training images with targets and folds, Parquet")
    add("--test", type=Path, required=True, help="test images, Parquet")
    add("--test-labels", type=Path, required=True, help="targets of the test images, Parquet")
    add("--weights", nargs="*", default=[], metavar="MODEL:RUN=FILE", help="trained networks")
    add("--metadata-models", nargs="*", default=[], metavar="MODEL=FILE", help="fitted metadata models, JSON")
    add("--predictions", nargs="*", default=[], metavar="MODEL=FILE", help="predictions of all models, Parquet")
    describe_access_log(parser)
    add("--output", type=Path, required=True, help="all findings, JSON to write")


def main(args: argparse.Namespace) -> None:
    """Check networks, metadata models and predictions; fail if there is a leak and split.allow_leaks is not set."""
    train, test = read_parquet(args.train), read_parquet(args.test)
    predictions = named_paths(args.predictions)
    labels = open_test_labels(args.test_labels, "audit", list(predictions), args)
    report = read_json(args.leakage)
    findings, test_counts = check_test(test, labels, report["unit"])
    for name, path in named_paths(args.weights).items():
        findings += check_network(path, train, test, name)
    for name, path in named_paths(args.metadata_models).items():
        findings += check_tabular(path, train, test, name)
    for name, path in predictions.items():
        findings += check_predictions(read_parquet(path), train, test, labels, name)
    report["findings"] += findings
    report["checked"]["test"] = test_counts
    checked = {"networks": args.weights, "metadata models": args.metadata_models}
    checked |= {"tables of predictions": args.predictions}
    report["checked"] |= {name: len(files) for name, files in checked.items()}
    write_json(args.output, report)
    try:
        require_no_leaks(findings)
    except InputError as leaks:
        if not read_settings(Split, args.settings).allow_leaks:
            raise
        log.warning("the study continues because split.allow_leaks is set: %s", leaks)


def check_tabular(path: Path, train: pd.DataFrame, test: pd.DataFrame, name: str) -> list[Finding]:
    """Check that the encoder of each run of a metadata model was fitted to the training rows of the run alone."""
    train, test = count_images(train, test)
    findings = []
    for run_name, values in read_json(path)["runs"].items():
        encoder: InputValues = values["encoder"]
        in_fold = train["fold"].astype(str) == run_name.removeprefix("fold-")
        held_out, seen = train[in_fold], train[~in_fold]
        others = {"validation": held_out, "test": test, "both": pd.concat([held_out, test])}
        fit = partial(_fitted_encoder, inputs=encoder["inputs"])
        findings += check_encoder(encoder, seen, others, f"{name}:{run_name}", fit)
    return findings


def _fitted_encoder(rows: pd.DataFrame, inputs: list[str]) -> InputValues:
    return InputEncoder.fit(rows, inputs).to_dict()


def check_network(path: Path, train: pd.DataFrame, test: pd.DataFrame, name: str) -> list[Finding]:
    """Check that the encoder and the first epoch of a trained network use its training rows alone."""
    trained = from_safetensors(path.read_bytes(), path)
    held_out = train[train["fold"] == trained["fold"]] if trained["fold"] is not None else train.iloc[:0]
    seen = train.drop(held_out.index).reset_index(drop=True)
    recipe = Recipe.model_validate(trained["recipe"])
    order = epoch_order(seen["target"].to_numpy(), recipe.sampling, recipe.seed, 0)
    others = {"validation": held_out, "test": test, "both": pd.concat([held_out, test])}
    return check_encoder(trained["encoder"], seen, others, name) + check_epoch(order, seen, others["both"], name)


if __name__ == "__main__":
    run(describe, main, __doc__)
