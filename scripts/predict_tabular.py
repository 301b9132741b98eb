"""Fit a metadata model or a model of frozen features to the rows of each run; predict out of fold and test.

python scripts/predict_tabular.py --recipe recipe.yaml --train split/train.parquet --test split/test.parquet \\
    --folds 0 --test-by refit --output predict/forest.parquet --model train/forest/model.json
"""

import argparse
from pathlib import Path

from melanoma.common.cli import run
from melanoma.common.files import read_parquet, write_json, write_parquet
from melanoma.config.base import help_text
from melanoma.config.recipe import Resources, read_recipe
from melanoma.models.embeddings import Embeddings
from melanoma.models.tabular import out_of_fold_and_test


def describe(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--train", type=Path, required=True, help="table of the training images, with their folds")
    parser.add_argument("--test", type=Path, required=True, help="table of the test images, without labels")
    parser.add_argument("--embeddings", type=Path, help="features of the images, for a model of frozen features")
    parser.add_argument("--folds", type=int, nargs="+", required=True, help="the folds to predict")
    parser.add_argument(
        "--test-by", choices=["refit", "fold_mean"], default="refit", help="the models that predict the test images"
    )
    parser.add_argument("--threads", type=int, default=1, help=help_text(Resources, "threads"))
    parser.add_argument("--output", type=Path, required=True, help="table of predictions to write")
    parser.add_argument("--model", type=Path, help="JSON to write, with all that the runs have learned")


def main(args: argparse.Namespace) -> None:
    """Write the predictions and the model."""
    predictions, model = out_of_fold_and_test(
        read_recipe(args.recipe),
        read_parquet(args.train),
        read_parquet(args.test),
        args.folds,
        args.test_by,
        args.threads,
        None if args.embeddings is None else Embeddings.read(args.embeddings),
    )
    write_parquet(args.output, predictions)
    if args.model:
        write_json(args.model, model.to_dict())


if __name__ == "__main__":
    run(describe, main, __doc__)
