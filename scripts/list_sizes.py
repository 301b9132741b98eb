"""The quality table of a study without images: all count as readable, and their sizes are what its tables tell.

python scripts/list_sizes.py --catalog catalog.parquet --output quality.parquet
"""

import argparse
from pathlib import Path

import pandas as pd

from melanoma.common.cli import log, run
from melanoma.common.files import write_parquet


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    parser.add_argument("--catalog", type=Path, required=True, help="catalog, Parquet")
    parser.add_argument("--output", type=Path, required=True, help="quality table, Parquet to write")


def main(args: argparse.Namespace) -> None:
    """Write the table."""
    table = unseen(pd.read_parquet(args.catalog))
    log.info("%d of %d images have a size in their table", (table["width"] > 0).sum(), len(table))
    write_parquet(args.output, table)


def unseen(catalog: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of the quality table that a study needs; a width or height of 0 is unknown."""
    sides = catalog[["width", "height"]].fillna(0).astype("int32")
    nothing = pd.Series([None] * len(catalog), dtype="str")
    images = catalog[["image"]].reset_index(drop=True)
    return images.assign(file=nothing, sha256=nothing, **sides.reset_index(drop=True), readable=True, problem=nothing)


if __name__ == "__main__":
    run(describe, main, __doc__)
