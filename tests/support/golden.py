"""Records the results of a finished study before a refactoring, and compares them with those after it.

python tests/support/golden.py record results/tiny golden-tiny.json
python tests/support/golden.py compare results/tiny golden-tiny.json

A result is known by the SHA-256 of its values, to the last bit. The names of columns and keys do not count.
Another machine or another version of a library may round differently, so record and compare on one machine, in one
environment.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

TABLES = ("predict/*.parquet", "predict/*/*.parquet", "fuse/*.parquet")
REPORTS = ("evaluate/metrics.json", "evaluate/comparisons.json", "evaluate/calibration.json")
TRAININGS = "names in train/"


def digests(results: Path) -> dict[str, str]:
    """Return the digest of each result in the folder of a study, by the path of its file in that folder.

    The names of the trainings count as one result: they have the stamps of the recipes. Exits where the folder lacks
    predictions or metrics.
    """
    tables = sorted(path for pattern in TABLES for path in results.glob(pattern))
    reports = [results / name for name in REPORTS if (results / name).exists()]
    if not tables or not reports:
        sys.exit(f"{results} has no predictions or no metrics: run the study to its report first")
    values = {path: table_values(path) for path in tables}
    values |= {path: leaves(json.loads(path.read_text())) for path in reports}
    found = {path.relative_to(results).as_posix(): digest(each) for path, each in values.items()}
    return found | {TRAININGS: digest(sorted(path.name for path in results.glob("train/*")))}


def table_values(path: Path) -> Iterator[list[Any]]:
    """Yield the values of each column of a Parquet table, in the order of the columns."""
    table = pd.read_parquet(path)
    return (table.iloc[:, column].tolist() for column in range(table.shape[1]))


def leaves(value: Any) -> Iterator[Any]:
    """Yield each value of nested dictionaries and lists that is neither, in their order, without a file's digest."""
    if isinstance(value, dict):
        value = [item for key, item in value.items() if key != "#sha256"]
    if isinstance(value, list):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def digest(values: Iterable[Any]) -> str:
    """Return the SHA-256 of values as Python writes them, which tells any two floats apart."""
    return hashlib.sha256(repr(list(values)).encode()).hexdigest()


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return a line for each result that is changed, missing or new."""
    changed = [f"changed: {name}" for name in before if name in after and before[name] != after[name]]
    missing = [f"missing: {name}" for name in before if name not in after]
    return changed + missing + [f"new: {name}" for name in after if name not in before]


def main(arguments: list[str] | None = None) -> None:
    """Record or compare, as the command line or `arguments` say; exit with 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["record", "compare"])
    parser.add_argument("results", type=Path, help="the folder of a finished study")
    parser.add_argument("file", type=Path, help="the JSON file of the digests")
    options = parser.parse_args(arguments)
    found = digests(options.results)
    if options.action == "record":
        options.file.write_text(json.dumps(found, indent=2) + "\n")
        return
    lines = differences(json.loads(options.file.read_text()), found)
    print("\n".join(lines) or f"all {len(found)} results are the same to the bit")
    if lines:
        sys.exit(1)


if __name__ == "__main__":
    main()
