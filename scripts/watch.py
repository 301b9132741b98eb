"""Show how far a run of a study is: a line for each stage, and one for each running job.

python scripts/watch.py results/isic2020
python scripts/watch.py results/isic2020 --every 10

It only reads files, so it can run at any time, on any machine that sees them. It shows the latest snakemake command.
"""

import argparse
import sys
import time
from datetime import datetime
from pathlib import Path

from melanoma.common.cli import run
from melanoma.snakefile.watch import read_run, table


def describe(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("results", type=Path, help="the folder of a study, such as results/isic2020")
    parser.add_argument("--every", type=float, metavar="SECONDS", help="show it again and again, until the run ends")


def main(args: argparse.Namespace) -> None:
    """Show the state of the run, once or until the run ends."""
    while True:
        state = read_run(args.results, datetime.now())
        clear = "\033[H\033[J" if args.every and sys.stdout.isatty() else ""
        print(clear + table(args.results.absolute().name, state), flush=True)
        if state.ended or not args.every:
            return
        time.sleep(args.every)


if __name__ == "__main__":
    run(describe, main, __doc__)
