"""Make a demo study: lesion photographs and their table in the layout of SIIM-ISIC 2020, with a known truth.

    python scripts/draw_lesions.py --images 1000 --seed 1 --prevalence 0.25 --pixel-signal 2.4 --metadata-signal 2.4 \
        --output-table results/demo/demo/train.csv --output-images results/demo/demo/jpeg \
        --output-truth results/demo/demo/truth.json --processes 2
"""

import argparse
from dataclasses import fields
from pathlib import Path

from melanoma.common.cli import log, run
from melanoma.common.errors import InputError
from melanoma.common.files import write_csv, write_json
from melanoma.data.demo_cohort import Settings, kaggle_table, make_cohort, truth, write_photographs


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    add = parser.add_argument
    add("--images", type=int, required=True, help="number of images")
    add("--seed", type=int, required=True, help="same seed, same bytes")
    add("--prevalence", type=float, required=True, help="share of melanomas")
    add("--pixel-signal", type=float, required=True, help="log odds per SD of what is seen")
    add("--metadata-signal", type=float, required=True, help="log odds per SD of the score of age, sex and site")
    add("--relative-signal", type=float, default=0.0, help="log odds per SD of the look beside the patient's usual one")
    add("--within-patient-correlation", type=float, default=0.2, help="correlation of what is seen within a patient")
    add("--output-table", type=Path, required=True, metavar="CSV", help="the table, in Kaggle's columns")
    add("--output-images", type=Path, required=True, metavar="FOLDER", help="folder to create for the JPEGs")
    add("--output-truth", type=Path, required=True, metavar="JSON", help="settings and best possible AUROCs")
    add("--output-scores", type=Path, metavar="CSV", help="also write each image's true scores")
    add("--processes", type=int, default=1, help="images drawn at a time (default %(default)s)")


def main(args: argparse.Namespace) -> None:
    """Draw the cohort, then the photographs, then write the table and the truth."""
    if args.processes < 1:
        raise InputError(f"--processes is {args.processes}, expected at least 1")
    settings = Settings(**{field.name: getattr(args, field.name) for field in fields(Settings)})
    cohort = make_cohort(settings)
    write_photographs(args.output_images, cohort, settings, args.processes)
    write_csv(args.output_table, kaggle_table(cohort))
    if args.output_scores:
        write_csv(args.output_scores, cohort[["image", "s", "m", "log_odds"]])
    facts = truth(settings, cohort)
    write_json(args.output_truth, facts)
    best = facts["bayes_auroc"]["population"]
    log.info(
        "%d images of %d patients, %d melanomas; best AUROC of many such: image %.3f, metadata %.3f, both %.3f",
        facts["images"],
        facts["patients"],
        facts["melanomas"],
        best["image"],
        best["metadata"],
        best["joint"],
    )


if __name__ == "__main__":
    run(describe, main, __doc__)
