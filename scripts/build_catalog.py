"""Join the tables of all sources into one checked catalog.

python scripts/build_catalog.py --settings catalog.yaml --output catalog.parquet --issues issues.csv
"""

import argparse
from pathlib import Path

from melanoma.common.cli import run
from melanoma.common.files import read_yaml, write_csv, write_parquet
from melanoma.config.data import Data
from melanoma.data.catalog import build_catalog
from melanoma.tables.tables import without_formulas


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    parser.add_argument("--settings", type=Path, required=True, help="YAML: on_bad_row and sources")
    parser.add_argument("--output", type=Path, required=True, help="catalog to write, Parquet")
    parser.add_argument(
        "--issues", type=Path, required=True, help="dropped rows, normalized words and warnings, CSV to write"
    )


def main(args: argparse.Namespace) -> None:
    """Build the catalog and write it with its issues."""
    catalog, issues = build_catalog(Data(**read_yaml(args.settings)))
    write_csv(args.issues, without_formulas(issues))
    write_parquet(args.output, catalog)


if __name__ == "__main__":
    run(describe, main, __doc__)
