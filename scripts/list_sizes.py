"""Write the quality table of a study without images: every image counts as readable, with its size from the catalog.

python scripts/list_sizes.py --catalog catalog.parquet --output quality.parquet
"""

import argparse
from pathlib import Path

import pandas as pd

from melanoma.common.cli import log, run
from melanoma.common.files import read_parquet, write_parquet


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    parser.add_argument("--catalog", type=Path, required=True, help="catalog, Parquet")
    parser.add_argument("--output", type=Path, required=True, help="quality table, Parquet to write")


def main(args: argparse.Namespace) -> None:
    """Write the quality table."""
    table = quality_table(read_parquet(args.catalog))
    log.info("%d of %d images have a size in their table", (table["width"] > 0).sum(), len(table))
    write_parquet(args.output, table)


def quality_table(catalog: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of the quality table that a study without images needs; an unknown width or height is 0."""
    sides = catalog[["width", "height"]].fillna(0).astype("int32")
    nothing = pd.Series([None] * len(catalog), dtype="str")
    images = catalog[["image"]].reset_index(drop=True)
    return images.assign(file=nothing, sha256=nothing, **sides.reset_index(drop=True), readable=True, problem=nothing)


if __name__ == "__main__":
    run(describe, main, __doc__)
