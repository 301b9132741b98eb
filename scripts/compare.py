"""Compare two finished studies: their models on the same test images, and the options that differ.

python scripts/compare.py results/a results/b --output compare.html

The test labels are read, so a line is added to the test-set access log of both studies.
"""

import argparse
from pathlib import Path

from melanoma.common.cli import run
from melanoma.common.files import write_text
from melanoma.comparison.finished import read_finished


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    parser.add_argument("first", type=Path, metavar="FIRST", help="results of a finished study")
    parser.add_argument("second", type=Path, metavar="SECOND", help="results of another finished study")
    parser.add_argument("--output", type=Path, metavar="HTML", help="page to write, with the splits as well")


def main(args: argparse.Namespace) -> None:
    """Read both studies, print the comparison and write the page."""
    from melanoma.comparison.page import render

    text, html = render(read_finished(args.first), read_finished(args.second))
    print(text, end="")
    if args.output:
        write_text(args.output, html)


if __name__ == "__main__":
    run(describe, main, __doc__)
