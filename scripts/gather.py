"""Join the predictions of a model's trainings: the mean over seeds, then for the test the mean over the trainings.

python scripts/gather.py --runs predict/cnn/fold-0.parquet predict/cnn/refit.parquet --train split/train.parquet \\
    --output predict/cnn.parquet
"""

import argparse
from pathlib import Path

import pandas as pd

from melanoma.command import run
from melanoma.files import write_parquet
from melanoma.gathering import gathered


def describe(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="predictions, named after their trainings")
    parser.add_argument("--train", type=Path, required=True, help="targets of the out-of-fold rows")
    parser.add_argument("--output", type=Path, required=True)


def main(args: argparse.Namespace) -> None:
    """Write the joined predictions."""
    runs = {path.stem: pd.read_parquet(path) for path in args.runs}
    write_parquet(args.output, gathered(runs, pd.read_parquet(args.train)))


if __name__ == "__main__":
    run(describe, main, __doc__)
