"""Download a file, or the files of a zip: goes on where it was cut, checks size and hash.

python scripts/fetch.py --url https://example.org/train.zip --unzip folder --output data/jpeg/train
"""

import argparse
from pathlib import Path

from melanoma.common.cli import run
from melanoma.data.download import Download, fetch


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    parser.add_argument("--url", required=True, help="address, http or https")
    parser.add_argument("--bytes", type=int, help="expected size of the download")
    parser.add_argument("--sha256", help="expected SHA-256 of the download, its first 8 digits or more")
    parser.add_argument("--unzip", choices=["file", "folder"], help="take out the one file of that name, or all files")
    parser.add_argument("--attempts", type=int, default=5, help="tries in a row that bring nothing new")
    parser.add_argument("--output", type=Path, required=True, help="file or folder to make; left alone where it exists")


def main(args: argparse.Namespace) -> None:
    """Fetch the output."""
    fetch(Download(args.url, args.bytes, args.sha256, args.unzip), args.output, args.attempts)


if __name__ == "__main__":
    run(describe, main, __doc__)
