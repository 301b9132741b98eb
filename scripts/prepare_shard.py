"""Prepare one shard of the images: decode them, make them square, and write them to one HDF5 file.

python scripts/prepare_shard.py --settings images.yaml --catalog catalog.parquet --shard 3 --shards 8 \
    --output shard-003.h5 --quality shard-003.parquet --processes 4
"""

import argparse
from pathlib import Path

from melanoma.common.cli import log, run
from melanoma.common.errors import InputError
from melanoma.common.files import read_parquet, read_yaml, write_parquet
from melanoma.config.base import help_text
from melanoma.config.data import Images
from melanoma.images.shards import shard_rows, write_shard


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    parser.add_argument("--settings", type=Path, required=True, help="YAML: the section images of the configuration")
    parser.add_argument("--catalog", type=Path, required=True, help="catalog, Parquet")
    parser.add_argument("--shard", type=int, required=True, help="number of the shard, from 0")
    parser.add_argument("--shards", type=int, required=True, help=help_text(Images, "shards"))
    parser.add_argument("--output", type=Path, required=True, help="shard to write, HDF5")
    parser.add_argument("--quality", type=Path, required=True, help="quality table to write, Parquet")
    parser.add_argument("--processes", type=int, default=1, help=help_text(Images, "threads"))


def main(args: argparse.Namespace) -> None:
    """Prepare the shard's range of the catalog."""
    if args.processes < 1:
        raise InputError(f"--processes is {args.processes}, expected at least 1")
    settings = Images(**read_yaml(args.settings))
    catalog = read_parquet(args.catalog, columns=["image", "file"])
    rows = shard_rows(len(catalog), args.shard, args.shards)
    quality = write_shard(args.output, catalog.iloc[rows], settings, args.processes)
    write_parquet(args.quality, quality)
    log.info("%s: %d of %d images", args.output, quality["readable"].sum(), len(quality))


if __name__ == "__main__":
    run(describe, main, __doc__)
