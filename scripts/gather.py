"""Join the predictions of a model's runs: out-of-fold rows as they are, test rows as the mean over the runs.

python scripts/gather.py --runs predict/cnn/fold-0.parquet predict/cnn/refit.parquet --output predict/cnn.parquet
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from melanoma.command import run
from melanoma.files import write_parquet


def describe(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--runs", type=Path, nargs="+", required=True)
    parser.add_argument("--output", type=Path, required=True)


def main(args: argparse.Namespace) -> None:
    """Write the joined predictions."""
    write_parquet(args.output, gathered([pd.read_parquet(path) for path in args.runs]))


def gathered(runs: list[pd.DataFrame]) -> pd.DataFrame:
    """Return one row per image; a test image predicted by several runs gets the mean of their probabilities."""
    rows = pd.concat(runs, ignore_index=True)
    test = rows["part"] == "test"
    keys = ["image", "patient", "part", "fold"]
    mean = rows[test].groupby(keys, sort=False, as_index=False)[["logit", "probability", "trained_prevalence"]].mean()
    if rows[test].duplicated("image").any():
        probability = mean["probability"].clip(1e-15, 1 - 1e-15)
        mean["logit"] = np.log(probability) - np.log1p(-probability)
    return pd.concat([rows[~test], mean], ignore_index=True)


if __name__ == "__main__":
    run(describe, main, __doc__)
