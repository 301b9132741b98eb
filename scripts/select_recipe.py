"""Choose the best of a recipe's trials: write the table of all of them and the recipe of the best.

python scripts/select_recipe.py --settings tune.yaml --trials tune/cnn --recipe tune/cnn/recipe.yaml \\
    --table tune/cnn/trials.csv

The settings are the recipe's section `tune`. A trial is a folder trial-NAME with its recipe.yaml and history.csv; its
score is that of the epoch which its recipe's monitor chooses.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd

from melanoma.common.cli import log, run
from melanoma.common.files import read_yaml, write_bytes, write_csv
from melanoma.config.errors import read_settings
from melanoma.config.recipe import Tune
from melanoma.config.search_space import SCORES, best_trial, trials
from melanoma.training.early_stopping import best_epoch

MEASURES = [f"validation_{score}" for score in SCORES]


def describe(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--settings", type=Path, required=True, help="method, trials, seed, score, space")
    parser.add_argument("--trials", type=Path, required=True, metavar="FOLDER", help="folder of the trials' folders")
    parser.add_argument("--recipe", type=Path, required=True, help="the best trial's recipe, to write")
    parser.add_argument(
        "--table", type=Path, required=True, help="one row for each trial, the best first, CSV to write"
    )


def main(args: argparse.Namespace) -> None:
    """Write the table and the best recipe."""
    settings = read_settings(Tune, args.settings)
    drawn = trials(settings)
    table = pd.DataFrame([trial_row(args.trials / f"trial-{name}", name, values) for name, values in drawn.items()])
    measure = f"validation_{settings.score}"
    best = best_trial(dict(zip(table["trial"], table[measure], strict=True)), settings.score)
    table = table.assign(chosen=table["trial"] == best)
    ascending = [False, SCORES[settings.score] < 0]
    write_csv(args.table, table.sort_values(["chosen", measure], ascending=ascending, kind="stable"))
    write_bytes(args.recipe, (args.trials / f"trial-{best}" / "recipe.yaml").read_bytes())
    log.info("the best of %d trials is %s: %s", len(table), best, json.dumps(drawn[best]))


def trial_row(folder: Path, name: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return a trial's row: its name, its values, its best epoch and what the validation images gave there."""
    history = pd.read_csv(folder / "history.csv")
    epoch = best_epoch(history, read_yaml(folder / "recipe.yaml")["monitor"])
    (reached,) = history.loc[history["epoch"] == epoch, MEASURES].to_dict("records")
    shown = {key: json.dumps(value) if isinstance(value, list | dict) else value for key, value in values.items()}
    return {"trial": name, **shown, "epoch": epoch, "epochs": len(history), **reached}


if __name__ == "__main__":
    run(describe, main, __doc__)
