"""Draw a simulated study: images of lesions and their table in the layout of SIIM-ISIC 2020.

    python scripts/draw_lesions.py --images 1000 --seed 1 --prevalence 0.25 --pixel-signal 2.4 --metadata-signal 2.4 \
        --output-table results/demo/demo/train.csv --output-images results/demo/demo/jpeg \
        --output-truth results/demo/demo/truth.json --processes 2
"""

import argparse
from pathlib import Path

from pydantic import ValidationError

from melanoma.common.cli import log, run
from melanoma.common.errors import InputError
from melanoma.common.files import write_csv, write_json
from melanoma.config.data import Generate
from melanoma.config.errors import explain
from melanoma.demo.cohort import kaggle_table, make_cohort, truth, write_photographs


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    add = parser.add_argument
    for name, field in Generate.model_fields.items():
        number = int if field.annotation is int else float
        add(f"--{name.replace('_', '-')}", type=number, default=field.default, help=field.description)
    add("--output-table", type=Path, required=True, metavar="CSV", help="table to write, in the columns of Kaggle")
    add("--output-images", type=Path, required=True, metavar="FOLDER", help="folder of JPEGs to create")
    add("--output-truth", type=Path, required=True, metavar="JSON", help="settings and best possible AUROCs")
    add("--output-scores", type=Path, metavar="CSV", help="also write the scores of each image")
    add("--processes", type=int, default=1, help="number of images that are drawn at the same time")


def main(args: argparse.Namespace) -> None:
    """Draw the cohort and the images; write the table and the truth."""
    if args.processes < 1:
        raise InputError(f"--processes is {args.processes}, expected at least 1")
    values = {name: getattr(args, name) for name in Generate.model_fields}
    try:
        settings = Generate(**values)
    except ValidationError as error:
        raise InputError("\n".join(explain(error, Generate, values))) from error
    cohort = make_cohort(settings)
    write_photographs(args.output_images, cohort, settings, args.processes)
    write_csv(args.output_table, kaggle_table(cohort))
    if args.output_scores:
        write_csv(args.output_scores, cohort[["image", "s", "m", "log_odds"]])
    facts = truth(settings, cohort)
    write_json(args.output_truth, facts)
    best = facts["bayes_auroc"]["population"]
    log.info("%(images)d images of %(patients)d patients, %(melanomas)d melanomas", facts)
    log.info("best AUROC of the population: image %(image).3f, metadata %(metadata).3f, both %(joint).3f", best)


if __name__ == "__main__":
    run(describe, main, __doc__)
