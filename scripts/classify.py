"""Classify images with a bundle: a probability, a decision and warnings for each image.

python scripts/classify.py --bundle bundles/demo --output answers.csv FOLDER_OR_IMAGES...

A bad file does not stop the others: its problem is in the output. After a kill, the same command goes on.
"""

import argparse
import shutil
from pathlib import Path

from melanoma.bundle.model import BundledModel
from melanoma.classify.answers import answers, kaggle_submission
from melanoma.classify.chunks import compute
from melanoma.classify.inputs import find_images, with_metadata
from melanoma.classify.page import write_page
from melanoma.common.cli import log, run
from melanoma.common.errors import InputError
from melanoma.common.files import write_text
from melanoma.config.base import help_text
from melanoma.config.classification import Classification
from melanoma.config.recipe import Resources


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    add = parser.add_argument

    def meaning(name: str) -> str:
        return help_text(Classification, name)

    add("images", type=Path, nargs="+", metavar="IMAGE_OR_FOLDER", help=meaning("images"))
    add("--bundle", type=Path, required=True, metavar="FOLDER", help=meaning("bundle"))
    add("--table", type=Path, metavar="CSV", help=meaning("table"))
    add("--output", type=Path, required=True, metavar="CSV", help="table to write")
    add("--html", type=Path, metavar="HTML", help="page to write, with a thumbnail and the answer of each image")
    add("--explain", action="store_true", help=meaning("explain"))
    add("--format", choices=["answers", "kaggle"], default="answers", help=meaning("format"))
    add("--threshold", default="youden", metavar="RULE", help=meaning("threshold"))
    add("--prevalence", type=float, metavar="SHARE", help=meaning("prevalence"))
    add("--error-rate", type=float, metavar="SHARE", help=meaning("error_rate"))
    add("--gpus", type=int, default=0, help=help_text(Resources, "gpus"))
    add("--threads", type=int, default=1, help=help_text(Resources, "threads"))


def main(args: argparse.Namespace) -> None:
    """Write the answers."""
    for name in ("prevalence", "error_rate"):
        share = getattr(args, name)
        if share is not None and not 0 < share < 1:
            raise InputError(f"--{name.replace('_', '-')} is {share}; expected a share between 0 and 1, such as 0.1")
    if args.explain and args.html is None:
        raise InputError("--explain adds maps to a page; give the page by --html")
    bundle = BundledModel.read(args.bundle)
    bundle.threshold(args.threshold)  # an unknown one is an error before the computation, which may take hours
    table = with_metadata(find_images(args.images), args.table)
    unfinished = args.output.with_name(f"{args.output.name}.resume")
    outputs = compute(bundle, table, unfinished, args.gpus, args.threads)
    result = answers(bundle, outputs, table, args.threshold, args.prevalence, args.error_rate)
    shown = kaggle_submission(result) if args.format == "kaggle" else result
    write_text(args.output, shown.to_csv(index=False))
    if args.html is not None:
        write_page(args.html, bundle, result, table, args.threshold, args.explain, args.gpus)
    shutil.rmtree(unfinished, ignore_errors=True)
    bad = result[result["problem"].notna()]
    for row in bad.itertuples():
        log.warning("%s: %s", row.file, row.problem)
    unreadable = len(table) - int(outputs.quality["readable"].sum())
    log.info("%s: %d images, %d of them unreadable", args.output, len(result), unreadable)


if __name__ == "__main__":
    run(describe, main, __doc__)
