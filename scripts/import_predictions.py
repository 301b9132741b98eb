"""Import external predictions as those of a model of the study.

python scripts/import_predictions.py --file submission.csv --train split/train.parquet --test split/test.parquet \\
    --folds 0 --output predict/theirs.parquet
"""

import argparse
from pathlib import Path

from melanoma.common.cli import run
from melanoma.common.files import read_parquet, write_parquet
from melanoma.predictions.external import external_predictions


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the options of this script."""
    parser.add_argument(
        "--file", type=Path, required=True, help="CSV or Parquet: image_name, target or probability, ..."
    )
    parser.add_argument("--train", type=Path, required=True, help="the training images, with their folds")
    parser.add_argument("--test", type=Path, required=True, help="the test images, without labels")
    parser.add_argument("--folds", type=int, nargs="+", required=True, help="the folds that are run")
    parser.add_argument("--fused", action="store_true", help="a fusion has the model, so out-of-fold rows are needed")
    parser.add_argument("--output", type=Path, required=True, help="table of predictions to write")


def main(args: argparse.Namespace) -> None:
    """Write the predictions of the images of the study."""
    train, test = read_parquet(args.train), read_parquet(args.test)
    write_parquet(args.output, external_predictions(args.file, train, test, args.folds, args.fused))


if __name__ == "__main__":
    run(describe, main, __doc__)
