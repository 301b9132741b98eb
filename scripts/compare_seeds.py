"""Say how much a model's AUROC depends on its seed: that of each seed, on the test and out of fold, and their spread.

python scripts/compare_seeds.py --runs cnn:fold-0-seed-1=predict/cnn/fold-0-seed-1.parquet ... \\
    --train split/train.parquet --labels split/test_labels.parquet --output seeds.json
"""

import argparse
from pathlib import Path
from statistics import stdev
from typing import Any

import pandas as pd

from melanoma.common.cli import log, run
from melanoma.common.files import write_json
from melanoma.predictions.aggregate import aggregated, seeds_of
from melanoma.predictions.table import join_labels, named_paths
from melanoma.predictions.test_access_log import describe_access_log, open_test_labels
from melanoma.stats.metrics import auroc


def describe(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--runs", nargs="+", required=True, metavar="MODEL:RUN-seed-N=FILE", help="predictions")
    parser.add_argument("--train", type=Path, required=True, help="targets of the out-of-fold rows")
    parser.add_argument("--labels", type=Path, required=True, help="labels of the test")
    describe_access_log(parser)
    parser.add_argument("--output", type=Path, required=True, help="model -> seeds, AUROCs and their SD, JSON to write")


def main(args: argparse.Namespace) -> None:
    """Evaluate every seed of every model."""
    tables: dict[str, dict[str, pd.DataFrame]] = {}
    for name, path in named_paths(args.runs).items():
        model, _, training = name.partition(":")
        tables.setdefault(model, {})[training] = pd.read_parquet(path)
    train = pd.read_parquet(args.train)
    labels = open_test_labels(args.labels, "seeds", list(tables), args)
    spreads = {model: spread(runs, train, labels) for model, runs in tables.items()}
    write_json(args.output, spreads)
    for model, entry in spreads.items():
        log.info("%s: test AUROC of %d seeds, SD %s", model, len(entry["seeds"]), entry["test"]["sd"])


def spread(runs: dict[str, pd.DataFrame], train: pd.DataFrame, labels: pd.DataFrame) -> dict[str, Any]:
    """Return the seeds of a model's `runs`, and for test and out_of_fold the AUROC of each and their SD.

    An AUROC of rows of one class, or an SD without two AUROCs, is null.
    """
    seeds = seeds_of(runs)
    found: dict[str, list[float | None]] = {"test": [], "out_of_fold": []}
    for seed in seeds:
        own = {name: table for name, table in runs.items() if name.endswith(f"-seed-{seed}")}
        rows = aggregated(own, train)
        evaluated = {"test": join_labels(rows[rows["part"] == "test"], labels, f"seed {seed}")}
        evaluated["out_of_fold"] = rows[rows["part"] == "train"]
        for part, table in evaluated.items():
            target = table["target"].to_numpy(dtype=int)
            both = len(set(target.tolist())) == 2
            found[part].append(float(auroc(target, table["probability"].to_numpy())) if both else None)
    return {"seeds": seeds} | {part: {"auroc": values, "sd": _sd(values)} for part, values in found.items()}


def _sd(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return stdev(known) if len(known) > 1 else None


if __name__ == "__main__":
    run(describe, main, __doc__)
