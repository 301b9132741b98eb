"""Find images of the same photograph: copies of a file, also re-encoded, resized, cropped, flipped or brightened.

python scripts/find_near_duplicates.py --catalog catalog.parquet --max-pixels 50000000 --threads 4 \\
    --output near_duplicates.csv --sheet near_duplicates.png
"""

import argparse
from pathlib import Path

import cv2

from melanoma.common.cli import log, run
from melanoma.common.files import read_parquet, write_checked, write_csv
from melanoma.images.near_duplicates import find
from melanoma.images.pair_sheet import draw_pairs
from melanoma.images.thumbnails import read_thumbnails


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    add = parser.add_argument
    add("--catalog", type=Path, required=True, help="catalog, Parquet")
    add("--max-pixels", type=int, default=50_000_000, help="a file whose header states more pixels is not read")
    add("--threads", type=int, default=1, help="number of threads")
    add("--output", type=Path, required=True, help="pairs, CSV to write")
    add("--sheet", type=Path, help="pairs to look at, PNG to write")


def main(args: argparse.Namespace) -> None:
    """Find all pairs and write them."""
    catalog = read_parquet(args.catalog, columns=["image", "file"])
    thumbnails = read_thumbnails(catalog["file"].tolist(), args.max_pixels, args.threads)
    pairs = find(catalog["image"].tolist(), thumbnails, args.threads)
    for pair in pairs.head(20).itertuples():
        log.info("%s and %s: %s, correlation %.2f", pair.image_a, pair.image_b, pair.verdict, pair.correlation)
    counts = pairs["verdict"].value_counts()
    log.info(
        "%d pairs of near-duplicates and %d doubted pairs among %d images",
        counts.get("merged", 0),
        counts.get("doubted", 0),
        len(catalog),
    )
    if args.sheet:
        gray = {name: each.gray for name, each in zip(catalog["image"], thumbnails, strict=True) if each is not None}
        write_checked(args.sheet, cv2.imencode(".png", draw_pairs(pairs, gray))[1].tobytes())
    write_csv(args.output, pairs)


if __name__ == "__main__":
    run(describe, main, __doc__)
