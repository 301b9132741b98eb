"""Split the readable images into test and folds.

python scripts/split_study.py --settings split.yaml --catalog catalog.parquet --quality quality.parquet \\
    --near-duplicates near_duplicates.csv --split split.parquet --train train.parquet --test test.parquet \\
    --test-labels test_labels.parquet --left-out left_out.csv --pairs pairs.csv

With external sources, --external and --external-labels write their tables, as --test and --test-labels for the test.
"""

import argparse
from pathlib import Path

import pandas as pd

from melanoma.common.cli import run
from melanoma.common.files import read_parquet, read_yaml, write_csv, write_parquet
from melanoma.config.data import SUBGROUP
from melanoma.config.split import Split
from melanoma.split.assign import TEST_COLUMNS, TRAIN_COLUMNS, log_split, read_pairs, split_images, usable_images
from melanoma.split.external import external_images, keep_away, study_images
from melanoma.split.near_duplicates import linked, log_doubts, read_near_duplicates, settle_doubts
from melanoma.tables.identifiers import as_known


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    add = parser.add_argument
    add("--settings", type=Path, required=True, help="YAML: the section split of the configuration")
    add("--catalog", type=Path, required=True, help="catalog, Parquet")
    add("--quality", type=Path, required=True, help="quality table of all images, Parquet")
    add("--near-duplicates", type=Path, help="pairs of near-duplicates, CSV")
    add("--split", type=Path, required=True, help="part and fold of every image, to write")
    add("--train", type=Path, required=True, help="training images with targets and folds, to write")
    add("--test", type=Path, required=True, help="test images without targets, to write")
    add("--test-labels", type=Path, required=True, help="targets, units and confirmations of the test images, to write")
    add("--left-out", type=Path, required=True, help="images that are left out, with reasons, CSV to write")
    add("--pairs", type=Path, required=True, help="near-duplicates with what the split makes of each, CSV to write")
    add("--external", type=Path, help="images of external sources without targets, to write")
    add("--external-labels", type=Path, help="targets, units and sources of external test images, to write")


def main(args: argparse.Namespace) -> None:
    """Split and write the tables."""
    settings = Split(**read_yaml(args.settings))
    catalog = read_parquet(args.catalog)
    quality = read_parquet(args.quality)
    usable = usable_images(catalog, quality)
    images = study_images(usable)
    duplicates = read_pairs(settings.duplicates)
    as_known(duplicates.stack(), catalog["image"], "fail", settings.duplicates)
    near = read_near_duplicates(args.near_duplicates, settings.near_duplicates)
    near = settle_doubts(near, images, settings.group_by, duplicates)
    log_doubts(near)
    pairs = pd.concat([duplicates, linked(near)[["first", "second"]]], ignore_index=True)
    split = split_images(images, pairs, settings)
    external = external_images(usable)
    split = keep_away(split, external, near, duplicates, quality[["image", "sha256"]])
    log_split(split, pairs)
    images = split.images
    is_test = images["part"] == "test"
    given = [name for name in images if images[name].notna().any()]
    subgroups = [name for name in given if name == "skin_type" or name.startswith(SUBGROUP)]
    labels = ["target", "unit", *(name for name in given if name == "confirmation")]  # histology tells of the label
    write_parquet(args.train, images.loc[~is_test, TRAIN_COLUMNS + subgroups])
    write_parquet(args.test, images.loc[is_test, TEST_COLUMNS + subgroups])
    write_parquet(args.test_labels, images.loc[is_test, ["image", *labels]])
    if args.external:
        write_parquet(args.external, external[[*TEST_COLUMNS, "role", *subgroups]])
    if args.external_labels:
        is_labeled = external["role"] == "test"
        write_parquet(args.external_labels, external.loc[is_labeled, ["image", *labels, "source"]])
    write_parquet(args.split, images[["image", "patient", "group", "part", "fold"]])
    write_csv(args.left_out, split.left_out)
    write_csv(args.pairs, near)


if __name__ == "__main__":
    run(describe, main, __doc__)
