"""Select the best trial of a recipe: write the table of all trials and the recipe of the best one.

python scripts/select_recipe.py --settings tune.yaml --trials tune/cnn --recipe tune/cnn/recipe.yaml \\
    --table tune/cnn/trials.csv

The settings are the section `tune` of the recipe. A trial is a folder trial-NAME with its recipe.yaml and history.csv.
Its score is that of the epoch that the recipe's monitor selects.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from melanoma.common.cli import log, run
from melanoma.common.files import read_csv, write_bytes, write_csv
from melanoma.config.errors import read_settings
from melanoma.config.recipe import Tune, read_recipe
from melanoma.config.search_space import SCORES, best_trial, trials
from melanoma.training.early_stopping import best_epoch

MEASURES = [f"validation_{score}" for score in SCORES]


def describe(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--settings", type=Path, required=True, help="the section tune of the recipe")
    parser.add_argument(
        "--trials", type=Path, required=True, metavar="FOLDER", help="folder with the folders of the trials"
    )
    parser.add_argument("--recipe", type=Path, required=True, help="recipe of the best trial to write")
    parser.add_argument(
        "--table", type=Path, required=True, help="CSV to write, one row for each trial, the best first"
    )


def main(args: argparse.Namespace) -> None:
    """Write the table and the best recipe."""
    settings = read_settings(Tune, args.settings)
    values = trials(settings)
    table = pd.DataFrame([trial_row(args.trials / f"trial-{name}", name, each) for name, each in values.items()])
    measure = f"validation_{settings.score}"
    best = best_trial(dict(zip(table["trial"], table[measure], strict=True)), settings.score)
    table = table.assign(chosen=table["trial"] == best)
    ascending = [False, SCORES[settings.score] < 0]
    write_csv(args.table, table.sort_values(["chosen", measure], ascending=ascending, kind="stable"))
    write_bytes(args.recipe, (args.trials / f"trial-{best}" / "recipe.yaml").read_bytes())
    log.info("the best of %d trials is %s: %s", len(table), best, json.dumps(values[best]))


def trial_row(folder: Path, name: str, values: Mapping[str, object]) -> dict[str, object]:
    """Return the row of a trial: its name, its values, its best epoch and the validation figures of that epoch."""
    history = read_csv(folder / "history.csv")
    epoch = best_epoch(history, read_recipe(folder / "recipe.yaml").monitor)
    (figures,) = history.loc[history["epoch"] == epoch, MEASURES].to_dict("records")
    shown = {key: json.dumps(value) if isinstance(value, list | dict) else value for key, value in values.items()}
    return {"trial": name, **shown, "epoch": epoch, "epochs": len(history), **figures}


if __name__ == "__main__":
    run(describe, main, __doc__)
