"""Pack a model of a finished study into one folder: a bundle, which classify.py applies to new images.

python scripts/bundle.py --results results/demo --output bundles/demo
"""

import argparse
from pathlib import Path

from melanoma.bundle.pack import pack
from melanoma.common.cli import log, run
from melanoma.compute.device import set_up_torch
from melanoma.config.base import help_text
from melanoma.config.recipe import Resources


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    parser.add_argument("--results", type=Path, required=True, help="results of a finished study")
    parser.add_argument("--model", metavar="NAME", help="a model or a fusion; by default the selected model")
    parser.add_argument("--onnx", action="store_true", help="add each network as ONNX, for runtimes without torch")
    parser.add_argument("--gpus", type=int, default=0, help=help_text(Resources, "gpus"))
    parser.add_argument("--threads", type=int, default=1, help=help_text(Resources, "threads"))
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="bundle to write")


def main(args: argparse.Namespace) -> None:
    """Write the bundle."""
    set_up_torch(args.threads)
    about = pack(args.results, args.model, args.output, args.onnx, args.gpus)
    log.info("%s: a bundle of %s, with %d model(s)", args.output, about["name"], len(about["models"]))


if __name__ == "__main__":
    run(describe, main, __doc__)
