"""Download a file, or the files of a zip. An interrupted download resumes; size and hash are checked.

python scripts/fetch.py --url https://example.org/train.zip --unzip folder --output data/jpeg/train
"""

import argparse
from pathlib import Path

from melanoma.common.cli import run
from melanoma.config.base import help_text
from melanoma.config.data import Download
from melanoma.downloads.download import fetch


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    parser.add_argument("--url", required=True, help=help_text(Download, "url"))
    parser.add_argument("--bytes", type=int, help=help_text(Download, "bytes"))
    parser.add_argument("--sha256", help=help_text(Download, "sha256"))
    parser.add_argument("--unzip", choices=["file", "folder"], help=help_text(Download, "unzip"))
    parser.add_argument("--attempts", type=int, default=5, help="attempts in a row that receive nothing new")
    parser.add_argument("--output", type=Path, required=True, help="file or folder to write; an existing one is kept")


def main(args: argparse.Namespace) -> None:
    """Fetch the output."""
    download = Download(url=args.url, bytes=args.bytes, sha256=args.sha256, unzip=args.unzip)
    fetch(download, args.output, args.attempts)


if __name__ == "__main__":
    run(describe, main, __doc__)
