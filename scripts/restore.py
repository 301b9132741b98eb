"""Make a copy of a study's results one that Snakemake goes on with: nothing runs again that is not to be.

python scripts/restore.py results/isic2020

Run it in the folder that has results/, after a copy from another clone, folder or machine. It compares each file with
its SHA-256 first.
"""

import argparse
from pathlib import Path

from melanoma.common.cli import log, run
from melanoma.snakefile.records import restore_record


def describe(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("results", type=Path, help="the results of a study, as results/isic2020")


def main(args: argparse.Namespace) -> None:
    """Restore the record."""
    count = restore_record(args.results)
    log.info("%s: %d files are as they were made; Snakemake goes on from them", args.results, count)


if __name__ == "__main__":
    run(describe, main, __doc__)
