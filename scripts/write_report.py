"""Write the report of a study: one HTML page that works offline, and its tables as CSV and LaTeX.

    python scripts/write_report.py --study study.yaml --metrics metrics.json --comparisons comparisons.json \\
        --calibration calibration.json --curves curves.json --test-predictions test_predictions.parquet \\
        --selected-model selected_model.json --shortcuts shortcuts.json --figures class_balance=class_balance.svg \\
        --leakage leakage.json --issues issues.csv --quality quality.parquet --recipes cnn=cnn.yaml mlp=mlp.yaml \\
        --catalog catalog.parquet --train train.parquet --test test.parquet --left-out left_out.csv \\
        --images images.h5 --histories cnn:fold-0=history.csv --logs logs/study --truths truth.json \\
        --tables tables --output report.html

The caption of a figure is report/NAME.rst. Figures NAME:MODEL share one caption. The options beside --study, --metrics
and --output may be left out; the report then lacks their sections.
"""

import argparse
from dataclasses import fields
from pathlib import Path

from melanoma.common.cli import run
from melanoma.common.files import write_text
from melanoma.predictions.table import named_paths
from melanoma.report.page import render, write_tables
from melanoma.report.sources import Sources


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the options of this script."""
    add = parser.add_argument
    add("--study", type=Path, nargs="+", required=True, metavar="YAML", help="parts of the resolved configuration")
    add("--metrics", type=Path, required=True, metavar="JSON", help="metrics of evaluate.py")
    add("--comparisons", type=Path, metavar="JSON", help="comparisons of evaluate.py")
    add("--calibration", type=Path, metavar="JSON", help="calibrators of evaluate.py")
    add("--curves", type=Path, metavar="JSON", help="curves of evaluate.py")
    add("--test-predictions", type=Path, metavar="PARQUET", help="labels and probabilities, of evaluate.py")
    add("--selected-model", type=Path, metavar="JSON", help="selected model, of select_model.py")
    add("--shortcuts", type=Path, metavar="JSON", help="result of analyze_shortcuts.py")
    add("--figures", nargs="*", default=[], metavar="NAME=FILE", help="figures in order, SVG or PNG")
    add("--leakage", type=Path, metavar="JSON", help="result of check_leakage.py")
    add("--issues", type=Path, metavar="CSV", help="issues of the tables, of build_catalog.py")
    add("--catalog", type=Path, metavar="PARQUET", help="catalog of build_catalog.py")
    add("--train", type=Path, metavar="PARQUET", help="training images, of split_study.py")
    add("--test", type=Path, metavar="PARQUET", help="test images without labels, of split_study.py")
    add("--left-out", type=Path, metavar="CSV", help="images without a part, of split_study.py")
    add("--images", type=Path, metavar="HDF5", help="image store, for pictures")
    add("--quality", type=Path, metavar="PARQUET", help="quality of the image files")
    add("--recipes", nargs="*", default=[], metavar="NAME=YAML", help="recipe of each model")
    add("--trials", nargs="*", default=[], metavar="NAME=CSV", help="tuning trials of each tuned model")
    add("--histories", nargs="*", default=[], metavar="MODEL:RUN=CSV", help="history of each run")
    add("--external", type=Path, metavar="JSON", help="metrics of external tests, of evaluate_external.py")
    add("--seeds", type=Path, metavar="JSON", help="AUROC of each seed of models with several, of compare_seeds.py")
    add("--robustness", type=Path, metavar="JSON", help="AUROC on corrupted images, of evaluate_robustness.py")
    add("--test-access-log", type=Path, metavar="JSONL", help="test-set access log")
    add("--fusions", nargs="*", default=[], metavar="NAME=JSON", help="weights of each fusion, of fuse.py")
    add("--truths", nargs="*", type=Path, default=[], metavar="JSON", help="AUROCs of the best possible model")
    add("--explanations", type=Path, metavar="NPZ", help="maps and importances of the selected model, of explain.py")
    add("--logs", type=Path, metavar="FOLDER", help="logs of the study, with Snakemake's benchmark files")
    add("--tables", type=Path, metavar="FOLDER", help="folder of the tables; its other files are deleted")
    add("--output", type=Path, required=True, metavar="HTML", help="the report")


def main(args: argparse.Namespace) -> None:
    """Read the sources and write the page and its tables."""
    options = {field.name: getattr(args, field.name) for field in fields(Sources)}
    named = {name: named_paths(options[name]) for name in ("figures", "recipes", "trials", "histories", "fusions")}
    page = render(Sources(**(options | named)))
    write_text(args.output, page.html)
    if args.tables:
        write_tables(page.tables, args.tables)


if __name__ == "__main__":
    run(describe, main, __doc__)
