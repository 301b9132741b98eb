"""Check the tables of the split for leaks, and stop before training if there are any.

python scripts/check_leakage.py --settings split.yaml --train train.parquet --test test.parquet \\
    --quality quality.parquet --near-duplicates near_duplicates.csv --left-out left_out.csv --output leakage.json
"""

import argparse
from pathlib import Path

import pandas as pd

from melanoma.common.cli import log, run
from melanoma.common.errors import InputError
from melanoma.common.files import read_csv, read_parquet, read_yaml, write_json
from melanoma.config.split import Split
from melanoma.split.assign import read_pairs
from melanoma.split.leakage import Tables, check, require_no_leaks
from melanoma.split.near_duplicates import CERTAIN, read_near_duplicates


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    add = parser.add_argument
    add("--settings", type=Path, required=True, help="YAML: the section split of the configuration")
    add("--train", type=Path, required=True, help="training images with targets and folds, Parquet")
    add("--test", type=Path, required=True, help="test images, Parquet")
    add("--quality", type=Path, required=True, help="quality table of all images, Parquet")
    add("--near-duplicates", type=Path, help="pairs of near-duplicates, CSV")
    add("--left-out", type=Path, required=True, help="images that are left out, with reasons, CSV")
    add("--external", type=Path, help="images of external sources, Parquet")
    add("--output", type=Path, required=True, help="findings, counts, notices and sources, JSON to write")


def main(args: argparse.Namespace) -> None:
    """Check, write the findings, and fail if there are any and allow_leaks is false."""
    settings = Split(**read_yaml(args.settings))
    near = read_near_duplicates(args.near_duplicates, settings.near_duplicates)
    tables = Tables(
        train=read_parquet(args.train),
        test=read_parquet(args.test),
        files=read_parquet(args.quality, columns=["image", "sha256"]),
        pairs=read_pairs(settings.duplicates),
        near=near[near["verdict"].isin(CERTAIN)],
        folds=settings.folds,
        external=external_tests(args.external),
    )
    report = check(tables)
    left_out = read_csv(args.left_out, dtype="str").groupby("reason", sort=False)["image"]
    report["checked"] |= {f"left out, {reason}": len(images) for reason, images in left_out}
    parts = {"train": tables.train, "test": tables.test}
    sources = {name: sorted(table["source"].unique()) for name, table in parts.items()}
    doubted = int((near["verdict"] == "doubted").sum())
    report["checked"] |= {"doubted near-duplicate pairs, which are no leaks (split/pairs.csv)": doubted}
    away = {} if tables.external is None else {reason: sorted(images) for reason, images in left_out}
    write_json(args.output, {**report, "sources": sources, "left_out": away})
    for notice in report["notices"]:
        log.warning("%s", notice)
    try:
        require_no_leaks(report["findings"])
    except InputError as leaks:
        if not settings.allow_leaks:
            raise
        log.warning("split.allow_leaks is true, so the workflow continues: %s", leaks)


def external_tests(path: Path | None) -> pd.DataFrame | None:
    """Return the images of external tests, None if the study has none."""
    images = None if path is None else read_parquet(path).query("role == 'test'")
    return images if images is not None and len(images) else None


if __name__ == "__main__":
    run(describe, main, __doc__)
