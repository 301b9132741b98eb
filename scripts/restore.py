"""Let Snakemake accept a copy of a study's results, so that it reruns nothing.

python scripts/restore.py results/isic2020

Run it in the folder that has results/, after a copy from another clone, folder or machine. It first compares each file
with its SHA-256.
"""

import argparse
from pathlib import Path

from melanoma.common.cli import log, run
from melanoma.snakefile.records import restore_record


def describe(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("results", type=Path, help="the folder of a study, such as results/isic2020")


def main(args: argparse.Namespace) -> None:
    """Restore the record."""
    count = restore_record(args.results)
    log.info("%s: %d files are unchanged; Snakemake accepts them", args.results, count)


if __name__ == "__main__":
    run(describe, main, __doc__)
