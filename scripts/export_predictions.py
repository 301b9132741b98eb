"""Write the predictions of an external source, such as the official test of ISIC 2020, as a table or a submission.

python scripts/export_predictions.py --results results/isic2020 --source isic2020_test --format kaggle \\
    --output submission.csv
"""

import argparse
from pathlib import Path

import pandas as pd

from melanoma.common.cli import log, run
from melanoma.common.errors import InputError, listing
from melanoma.common.files import read_json, read_parquet, write_csv


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    add = parser.add_argument
    add("--results", type=Path, required=True, help="results of a finished study")
    add("--source", required=True, metavar="NAME", help="a source of role predict or test")
    add("--model", metavar="NAME", help="a model or a fusion; by default the selected model")
    formats = "table has image, patient, probability, logit and source; kaggle has image_name and target"
    add("--format", choices=["table", "kaggle"], default="table", help=formats)
    add("--output", type=Path, required=True, metavar="CSV", help="table to write")


def main(args: argparse.Namespace) -> None:
    """Write the table, one row for each image of the source, in the order of its table."""
    name = args.model or read_json(args.results / "fuse/selected_model.json")["selected_model"]
    path = args.results / f"external/{name}.parquet"
    if not path.exists():
        known = ", ".join(sorted(each.stem for each in path.parent.glob("*.parquet"))) or "none"
        raise InputError(f"{path}: no such file. {name} has no predictions of external sources; --model can be {known}")
    rows = of_source(read_parquet(path), read_parquet(args.results / "catalog/catalog.parquet"), args.source)
    if args.format == "kaggle":
        rows = rows.rename(columns={"image": "image_name", "probability": "target"})[["image_name", "target"]]
    write_csv(args.output, rows)
    log.info("%s: %d predictions of %s", args.output, len(rows), name)


def of_source(predictions: pd.DataFrame, catalog: pd.DataFrame, source: str) -> pd.DataFrame:
    """Return the predictions of all images of a source; raise InputError if an image has none."""
    wanted = catalog.loc[catalog["source"] == source, "image"]
    missing = wanted[~wanted.isin(predictions["image"])]
    if wanted.empty or len(missing) == len(wanted):
        known = ", ".join(sorted(predictions["source"].unique())) or "no source"
        raise InputError(f"no predictions of a source {source}. There are predictions of {known}")
    if len(missing):
        raise InputError(
            f"{len(missing)} of {len(wanted)} images of {source} are unreadable and have no prediction:\n"
            f"{listing(missing)}\nRepair the files and run the study again"
        )
    columns = ["image", "patient", "probability", "logit", "source"]
    return predictions.set_index("image", drop=False).loc[wanted, columns].reset_index(drop=True)


if __name__ == "__main__":
    run(describe, main, __doc__)
