"""Print how many images two studies have in common, in test, train and each fold, and how many chance would give.

python scripts/compare_splits.py results/a results/b
"""

import argparse
from pathlib import Path

from melanoma.common.cli import run
from melanoma.split.given import read_saved
from melanoma.split.overlap import overlap


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    for name in ("first", "second"):
        parser.add_argument(name, type=Path, metavar=name.upper(), help="results of a study, or its split.parquet")


def main(args: argparse.Namespace) -> None:
    """Read both splits and print the table."""
    files = [path / "split/split.parquet" if path.is_dir() else path for path in (args.first, args.second)]
    table = overlap(*map(read_saved, files))
    print(table.to_string(index=False, formatters={"expected": "{:.1f}".format}))
    print(f"expected: what two independent splits of these images would have in common\nfirst: {files[0]}")
    print(f"second: {files[1]}")


if __name__ == "__main__":
    run(describe, main, __doc__)
