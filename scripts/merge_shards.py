"""Join the shards of images into one store, a virtual data set over them, and join their quality tables.

python scripts/merge_shards.py --shards shards/shard-*.h5 --qualities shards/shard-*.parquet \
    --output images.h5 --quality quality.parquet --shard-count shard_count
"""

import argparse
from pathlib import Path

from melanoma.common.cli import log, run
from melanoma.common.files import write_checked, write_parquet
from melanoma.images.store import merge_shards


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    parser.add_argument("--shards", type=Path, nargs="+", required=True, help="shards in order, HDF5")
    parser.add_argument("--qualities", type=Path, nargs="+", required=True, help="their quality tables, Parquet")
    parser.add_argument("--output", type=Path, required=True, help="store to write, HDF5")
    parser.add_argument("--quality", type=Path, required=True, help="joined quality table to write, Parquet")
    parser.add_argument("--shard-count", type=Path, required=True, help="file to write the number of shards to")


def main(args: argparse.Namespace) -> None:
    """Join shards and quality tables."""
    quality = merge_shards(args.shards, args.qualities, args.output)
    write_parquet(args.quality, quality)
    write_checked(args.shard_count, str(len(args.shards)).encode())
    log.info("%s: %d images, %d unreadable", args.output, quality["readable"].sum(), (~quality["readable"]).sum())


if __name__ == "__main__":
    run(describe, main, __doc__)
