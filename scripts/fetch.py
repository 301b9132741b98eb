"""Download a file, or the files of a zip. An interrupted download resumes; size and hash are checked.

python scripts/fetch.py --url https://example.org/train.zip --unzip folder --output data/jpeg/train
"""

import argparse
from pathlib import Path

from melanoma.common.cli import run
from melanoma.config.data import Download
from melanoma.data.download import fetch


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    parser.add_argument("--url", required=True, help="address, http or https")
    parser.add_argument("--bytes", type=int, help="expected size of the download")
    parser.add_argument("--sha256", help="expected SHA-256 of the download, its first 8 digits or more")
    parser.add_argument(
        "--unzip",
        choices=["file", "folder"],
        help="unpack a zip: the file of the output's name, or all files",
    )
    parser.add_argument("--attempts", type=int, default=5, help="attempts in a row that receive nothing new")
    parser.add_argument("--output", type=Path, required=True, help="file or folder to write; an existing one is kept")


def main(args: argparse.Namespace) -> None:
    """Fetch the output."""
    download = Download(url=args.url, bytes=args.bytes, sha256=args.sha256, unzip=args.unzip)
    fetch(download, args.output, args.attempts)


if __name__ == "__main__":
    run(describe, main, __doc__)
