"""Join the predictions of a model's trainings: the mean over seeds, then for the test the mean over the trainings.

python scripts/gather.py --runs predict/cnn/fold-0.parquet predict/cnn/refit.parquet --train split/train.parquet \\
    --output predict/cnn.parquet --weights fold-0=fold-0/weights.pt refit=refit/weights.pt --tta tta.yaml \\
    --model predict/cnn.json
"""

import argparse
from pathlib import Path

import pandas as pd

from melanoma.command import run
from melanoma.files import read_yaml, write_json, write_parquet
from melanoma.gathering import gathered
from melanoma.prediction_file import described
from melanoma.predictions import named_paths


def describe(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="predictions, named after their trainings")
    parser.add_argument("--train", type=Path, required=True, help="targets of the out-of-fold rows")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--weights", nargs="+", required=True, metavar="RUN=FILE", help="weights of each training")
    parser.add_argument("--tta", type=Path, required=True, help="file of the test-time augmentation")
    parser.add_argument("--model", type=Path, required=True, help="JSON to write, by which the model is applied")


def main(args: argparse.Namespace) -> None:
    """Write the joined predictions, and what the model is applied by."""
    runs = {path.stem: pd.read_parquet(path) for path in args.runs}
    write_parquet(args.output, gathered(runs, pd.read_parquet(args.train)))
    write_json(args.model, described(args.model, named_paths(args.weights), runs, read_yaml(args.tta)))


if __name__ == "__main__":
    run(describe, main, __doc__)
