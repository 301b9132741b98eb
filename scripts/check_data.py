"""Check the data of a study in seconds, before anything is prepared, or propose a study for a folder and a table.

python scripts/check_data.py --configfile studies/mine.yaml
python scripts/check_data.py --images data/mine/jpeg --table data/mine/table.csv > studies/mine.yaml
"""

import argparse
import logging
import sys
from pathlib import Path

from melanoma.common.cli import log, run
from melanoma.common.errors import InputError


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    add = parser.add_argument
    add("--configfile", type=Path, nargs="+", metavar="FILE", help="check this study, given as to snakemake")
    add("--images", nargs="+", default=[], metavar="FOLDER", help="propose a study for the images of these folders")
    add("--table", metavar="FILE", help="the table of these images; without it, each subfolder is a class")


def main(args: argparse.Namespace) -> None:
    """Print the page of a study, and exit with 1 if it cannot run; or print the proposal of a study."""
    log.setLevel(logging.ERROR)  # the page says what the catalog logs
    if bool(args.configfile) == bool(args.images or args.table):
        raise InputError("give either --configfile with a study, or --images or --table for a proposal")
    if args.configfile:
        check(args.configfile)
    else:
        propose_study(args.images, args.table)


def check(files: list[Path]) -> None:
    """Print the page of a study; exit with 1 if it cannot run."""
    from melanoma.data_check.check import check_study
    from melanoma.data_check.mend import mends
    from melanoma.data_check.summary import page
    from melanoma.snakefile.study_files import read_study

    study = read_study(files)
    findings = check_study(study)
    print(page(study, findings, mends(study, findings)))
    if findings.faults:
        sys.exit(1)


def propose_study(images: list[str], table: str | None) -> None:
    """Print a study as YAML, which can be written to a file and checked."""
    from melanoma.data_check.proposal import propose
    from melanoma.data_check.yaml_text import study_text

    print(study_text(propose(images, table)), end="")


if __name__ == "__main__":
    run(describe, main, __doc__)
