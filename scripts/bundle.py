"""Pack a model of a finished study into one folder: a bundle, which classify.py applies to new images.

python scripts/bundle.py --results results/demo --output bundles/demo
"""

import argparse
from pathlib import Path

from melanoma.bundle.pack import pack
from melanoma.common.cli import log, run


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    parser.add_argument("--results", type=Path, required=True, help="results of a finished study")
    parser.add_argument("--model", metavar="NAME", help="a model or a fusion; by default the selected model")
    parser.add_argument("--onnx", action="store_true", help="add each network as ONNX, for runtimes without torch")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="bundle to write")


def main(args: argparse.Namespace) -> None:
    """Write the bundle."""
    about = pack(args.results, args.model, args.output, args.onnx)
    log.info("%s: a bundle of %s, with %d model(s)", args.output, about["name"], len(about["models"]))


if __name__ == "__main__":
    run(describe, main, __doc__)
