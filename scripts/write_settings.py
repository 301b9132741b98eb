"""Write one section of the configuration, or one recipe, as a YAML file.

python scripts/write_settings.py --values '{"size": 512}' --output results/demo/config/images.yaml
"""

import argparse
import json
from pathlib import Path

from melanoma.common.cli import run
from melanoma.common.files import write_yaml


def describe(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--values", required=True, help="the section or recipe, as JSON")
    parser.add_argument("--output", type=Path, required=True, help="YAML file to write")


def main(args: argparse.Namespace) -> None:
    """Write the values."""
    write_yaml(args.output, json.loads(args.values))


if __name__ == "__main__":
    run(describe, main, __doc__)
