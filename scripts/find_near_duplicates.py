"""Find images of the same photograph: copies of a file, also re-encoded, resized, cropped, flipped or brightened.

python scripts/find_near_duplicates.py --quality quality.parquet --images images.h5 --hash-distance 10 \\
    --max-difference 0.35 --threads 4 --output near_duplicates.csv
"""

import argparse
from pathlib import Path

import pandas as pd

from melanoma.common.cli import log, run
from melanoma.common.files import write_csv
from melanoma.images.near_duplicates import find
from melanoma.images.store import ImageStore


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    add = parser.add_argument
    add("--quality", type=Path, required=True, help="quality table of all images, Parquet")
    add("--images", type=Path, required=True, help="image store")
    add("--hash-distance", type=int, default=10, metavar="BITS", help="largest distance of two perceptual hashes")
    add("--max-difference", type=float, default=0.35, help="largest difference of the detail of two images, 0 to 1")
    add("--threads", type=int, default=1, help="number of threads")
    add("--output", type=Path, required=True, help="pairs, CSV to write")


def main(args: argparse.Namespace) -> None:
    """Find all pairs and write them."""
    quality, store = pd.read_parquet(args.quality), ImageStore(args.images)
    pairs = find(quality, store, args.hash_distance, args.max_difference, args.threads)
    for pair in pairs.head(20).itertuples():
        log.info("%s and %s: %d bits, difference %.2f", pair.image_1, pair.image_2, pair.hamming, pair.difference)
    log.info("%d pairs of near-duplicates among %d images", len(pairs), len(store))
    write_csv(args.output, pairs)


if __name__ == "__main__":
    run(describe, main, __doc__)
