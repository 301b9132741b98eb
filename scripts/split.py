"""Split the readable images into test and folds, and stop if anything leaks from one into another.

python scripts/split.py --settings split.yaml --catalog catalog.parquet --quality quality.parquet \
    --split split.parquet --train train.parquet --test test.parquet --test-labels test_labels.parquet \
    --leakage leakage.json
"""

import argparse
from pathlib import Path

import pandas as pd

from melanoma.command import log, run
from melanoma.errors import InputError
from melanoma.files import read_yaml, write_json, write_parquet
from melanoma.leakage import check, require_no_leaks
from melanoma.split import TEST_COLUMNS, TRAIN_COLUMNS, log_split, read_pairs, split_images, usable_images


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    add = parser.add_argument
    add("--settings", type=Path, required=True, help="YAML: test_fraction, folds, seed, group_by, ...")
    add("--catalog", type=Path, required=True, help="catalog, Parquet")
    add("--quality", type=Path, required=True, help="quality table of all images, Parquet")
    add("--split", type=Path, required=True, help="part and fold of every image, to write")
    add("--train", type=Path, required=True, help="training images with targets and folds, to write")
    add("--test", type=Path, required=True, help="test images without targets, to write")
    add("--test-labels", type=Path, required=True, help="targets of the test images, to write")
    add("--leakage", type=Path, required=True, help="findings of the leakage gate, JSON to write")


def main(args: argparse.Namespace) -> None:
    """Split, check, and only then write the tables."""
    settings = read_yaml(args.settings)
    pairs = read_pairs(settings["duplicates"])
    images = usable_images(pd.read_parquet(args.catalog), pd.read_parquet(args.quality))
    split = split_images(images, pairs, settings)
    log_split(split, pairs)
    is_test = split["part"] == "test"
    train, test = split.loc[~is_test, TRAIN_COLUMNS], split.loc[is_test, TEST_COLUMNS]
    labels = split.loc[is_test, ["image", "target"]]
    report = check(train, test, labels, pairs)
    write_json(args.leakage, report)
    try:
        require_no_leaks(report)
    except InputError as leaks:
        if not settings["allow_leaks"]:
            raise
        log.warning("going on as allow_leaks is set: %s", leaks)
    write_parquet(args.train, train)
    write_parquet(args.test, test)
    write_parquet(args.test_labels, labels)
    write_parquet(args.split, split[["image", "patient", "group", "part", "fold"]])


if __name__ == "__main__":
    run(describe, main, __doc__)
