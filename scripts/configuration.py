"""Write the page that documents every option of a study, from the schema.

python scripts/configuration.py --output docs/configuration.md
"""

import argparse
from pathlib import Path

from melanoma.common.cli import run
from melanoma.common.files import write_text
from melanoma.config.docs import configuration_page
from melanoma.config.study import load_schema


def describe(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--output", type=Path, required=True)


def main(args: argparse.Namespace) -> None:
    """Write the page."""
    write_text(args.output, configuration_page(load_schema()))


if __name__ == "__main__":
    run(describe, main, __doc__)
