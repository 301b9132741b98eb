"""Draw training images as a recipe's augmentation shows them to the network, epoch by epoch, as SVG or PNG.

    python scripts/contact_sheet.py --recipe cnn.yaml --train split/train.parquet --images images/images.h5 \\
        --output augmentation.png

The figure is titled by the name of the recipe's file.
"""

import argparse
from pathlib import Path

import pandas as pd

from melanoma import figures
from melanoma.command import run
from melanoma.contact_sheet import contact_sheet
from melanoma.errors import InputError
from melanoma.files import read_yaml
from melanoma.store import ImageStore


def describe(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--recipe", type=Path, required=True, metavar="YAML", help="recipe of a model that sees images")
    parser.add_argument("--train", type=Path, required=True, metavar="FILE", help="row and target of train")
    parser.add_argument("--images", type=Path, required=True, metavar="H5", help="image store")
    parser.add_argument("--count", type=int, default=2, help="images of each class (default %(default)s)")
    parser.add_argument("--epochs", type=int, default=7, help="epochs shown (default %(default)s)")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="figure, .svg or .png")


def main(args: argparse.Namespace) -> None:
    """Draw the sheet."""
    recipe, train = read_yaml(args.recipe), pd.read_parquet(args.train)
    if "augmentation" not in recipe:
        raise InputError(f"{args.recipe}: {recipe['network']} sees no images; give the recipe of an image network")
    rows = [row for target in (0, 1) for row in figures.choose_samples(train, target, args.count, recipe["seed"])]
    sheet = contact_sheet(ImageStore(args.images), rows, recipe, args.epochs)
    figures.save(figures.augmentation(sheet, args.recipe.stem), args.output)


if __name__ == "__main__":
    run(describe, main, __doc__)
