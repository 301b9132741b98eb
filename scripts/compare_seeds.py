"""Show how much the AUROC of a model depends on its seed: the AUROC of each seed, on the test and out of fold.

python scripts/compare_seeds.py --runs cnn:fold-0-seed-1=predict/cnn/fold-0-seed-1.parquet ... \\
    --train split/train.parquet --labels split/test_labels.parquet --output seeds.json
"""

import argparse
from pathlib import Path
from statistics import stdev
from typing import TypedDict

import pandas as pd

from melanoma.common.cli import log, run
from melanoma.common.files import read_parquet, write_json
from melanoma.predictions.aggregate import aggregated, seed_names
from melanoma.predictions.table import join_labels, named_paths
from melanoma.predictions.test_access_log import describe_access_log, open_test_labels
from melanoma.stats.metrics import auroc


class Spread(TypedDict):
    """The AUROC of each seed, null for rows of one class, and their standard deviation, null for fewer than two."""

    auroc: list[float | None]
    sd: float | None


class SeedResults(TypedDict):
    """The entry of a model in seeds.json."""

    seeds: list[str]
    test: Spread
    out_of_fold: Spread


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the options of this script."""
    parser.add_argument(
        "--runs", nargs="+", required=True, metavar="MODEL:RUN-seed-N=FILE", help="predictions of each training"
    )
    parser.add_argument("--train", type=Path, required=True, help="targets of the out-of-fold rows")
    parser.add_argument("--labels", type=Path, required=True, help="labels of the test")
    describe_access_log(parser)
    parser.add_argument("--output", type=Path, required=True, help="the AUROC of each seed by model, JSON to write")


def main(args: argparse.Namespace) -> None:
    """Evaluate every seed of every model."""
    tables: dict[str, dict[str, pd.DataFrame]] = {}
    for name, path in named_paths(args.runs).items():
        model, _, training = name.partition(":")
        tables.setdefault(model, {})[training] = read_parquet(path)
    train = read_parquet(args.train)
    labels = open_test_labels(args.labels, "seeds", list(tables), args)
    spreads = {model: spread(runs, train, labels) for model, runs in tables.items()}
    write_json(args.output, spreads)
    for model, entry in spreads.items():
        log.info("%s: test AUROC of %d seeds, SD %s", model, len(entry["seeds"]), entry["test"]["sd"])


def spread(runs: dict[str, pd.DataFrame], train: pd.DataFrame, labels: pd.DataFrame) -> SeedResults:
    """Return the AUROC of each seed of a model, from the predictions of its trainings by their names."""
    test, out_of_fold = [], []
    for seed in seed_names(runs):
        rows = aggregated({name: table for name, table in runs.items() if name.endswith(f"-seed-{seed}")}, train)
        test.append(_auroc(join_labels(rows[rows["part"] == "test"], labels, f"seed {seed}")))
        out_of_fold.append(_auroc(rows[rows["part"] == "train"]))
    return {"seeds": seed_names(runs), "test": _spread(test), "out_of_fold": _spread(out_of_fold)}


def _auroc(rows: pd.DataFrame) -> float | None:
    target = rows["target"].to_numpy(dtype=int)
    return float(auroc(target, rows["probability"])) if len(set(target.tolist())) == 2 else None


def _spread(values: list[float | None]) -> Spread:
    defined = [value for value in values if value is not None]
    return {"auroc": values, "sd": stdev(defined) if len(defined) > 1 else None}


if __name__ == "__main__":
    run(describe, main, __doc__)
