"""The second half of the leakage gate: what was trained and predicted, and what only test labels can show.

python scripts/audit_models.py --settings split.yaml --leakage leakage.json --train train.parquet --test test.parquet \\
    --test-labels test_labels.parquet --weights cnn:fold-0=fold-0/weights.pt --predictions cnn=cnn.parquet \\
    --output audited.json
"""

import argparse
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from melanoma.common.cli import log, run
from melanoma.common.errors import InputError
from melanoma.common.files import read_json, read_yaml, write_json
from melanoma.config.recipe import Recipe
from melanoma.data.metadata_columns import InputEncoder, InputValues
from melanoma.predictions.patient_context import count_images
from melanoma.predictions.table import named_paths
from melanoma.predictions.test_access_log import describe_access_log, open_test_labels
from melanoma.split.leakage import Finding, check_encoder, check_epoch, check_predictions, check_test, require_no_leaks
from melanoma.training.sampling import epoch_order


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    add = parser.add_argument
    add("--settings", type=Path, required=True, help="YAML: allow_leaks")
    add("--leakage", type=Path, required=True, help="findings of leakage.py, to which those of here are added")
    add("--train", type=Path, required=True, help="training images with targets and folds, Parquet")
    add("--test", type=Path, required=True, help="test images, Parquet")
    add("--test-labels", type=Path, required=True, help="targets of the test images, Parquet")
    add("--weights", nargs="*", default=[], metavar="MODEL:RUN=FILE", help="trained networks")
    add("--metadata-models", nargs="*", default=[], metavar="MODEL=FILE", help="fitted metadata models, JSON")
    add("--predictions", nargs="*", default=[], metavar="MODEL=FILE", help="their and others' predictions, Parquet")
    describe_access_log(parser)
    add("--output", type=Path, required=True, help="all findings, JSON to write")


def main(args: argparse.Namespace) -> None:
    """Check networks, metadata models and tables of predictions, and fail if anything is found and not allowed."""
    train, test = pd.read_parquet(args.train), pd.read_parquet(args.test)
    predictions = named_paths(args.predictions)
    labels = open_test_labels(args.test_labels, "audit", list(predictions), args)
    found, test_counts = check_test(test, labels)
    for name, path in named_paths(args.weights).items():
        found += check_network(path, train, test, name)
    for name, path in named_paths(args.metadata_models).items():
        found += check_tabular(path, train, test, name)
    for name, path in predictions.items():
        found += check_predictions(pd.read_parquet(path), train, test, labels, name)
    report = read_json(args.leakage)
    report["findings"] += found
    report["checked"]["test"] = test_counts
    checked = {"networks": args.weights, "metadata models": args.metadata_models}
    checked |= {"tables of predictions": args.predictions}
    report["checked"] |= {name: len(files) for name, files in checked.items()}
    write_json(args.output, report)
    try:
        require_no_leaks(found)
    except InputError as leaks:
        if not read_yaml(args.settings)["allow_leaks"]:
            raise
        log.warning("going on as allow_leaks is set: %s", leaks)


def check_tabular(path: Path, train: pd.DataFrame, test: pd.DataFrame, name: str) -> list[Finding]:
    """Check the encoders of a metadata model, by run, against the rows that each may have seen."""
    train, test = count_images(train, test)
    found = []
    for fitted, kept in read_json(path)["runs"].items():
        encoder = kept["encoder"]
        own = train["fold"].astype(str) == fitted.removeprefix("fold-")
        held_out, seen = train[own], train[~own]
        others = {"validation": held_out, "test": test, "both": pd.concat([held_out, test])}
        learn = partial(_learned, inputs=encoder["inputs"])
        found += check_encoder(encoder, seen, others, f"{name}:{fitted}", learn)
    return found


def _learned(rows: pd.DataFrame, inputs: list[str]) -> InputValues:
    return InputEncoder.fit(rows, inputs).to_dict()


def check_network(path: Path, train: pd.DataFrame, test: pd.DataFrame, name: str) -> list[Finding]:
    """Check the encoder of a trained network, and what its first epoch showed, against the rows it may have seen."""
    trained = torch.load(path, weights_only=True)
    held_out = train[train["fold"] == trained["fold"]] if trained["fold"] is not None else train.iloc[:0]
    seen = train.drop(held_out.index).reset_index(drop=True)
    recipe = Recipe.model_validate(trained["recipe"])
    order = epoch_order(seen["target"].to_numpy(), recipe.sampling, recipe.seed, 0)
    others = {"validation": held_out, "test": test, "both": pd.concat([held_out, test])}
    unseen = others["both"]
    return check_encoder(trained["encoder"], seen, others, name) + check_epoch(order, seen, unseen, name)


if __name__ == "__main__":
    run(describe, main, __doc__)
