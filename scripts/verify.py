"""Check every file of a finished study: its SHA-256 must be that of the time when it was made.

python scripts/verify.py results/isic2020

Run it in the folder that has results/. It names the files that are damaged, and the option of Snakemake that makes
them and what depends on them again.
"""

import argparse
from pathlib import Path

from melanoma.common.cli import log, run
from melanoma.snakefile.records import verified


def describe(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("results", type=Path, help="the folder of a study, such as results/isic2020")


def main(args: argparse.Namespace) -> None:
    """Check the files."""
    log.info("%s: %d files are unchanged", args.results, len(verified(args.results)))


if __name__ == "__main__":
    run(describe, main, __doc__)
