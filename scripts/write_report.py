"""Write the report of a study: one HTML page that works offline.

    python scripts/write_report.py --study demo --metrics metrics.json --config config.yaml \\
        --comparisons comparisons.json --calibration calibration.json --selected-model selected_model.json \\
        --shortcuts shortcuts.json \\
        --figures roc=roc.svg samples=samples.png --leakage leakage.json --issues issues.csv \\
        --quality quality.parquet --recipes cnn=cnn.yaml mlp=mlp.yaml --truth truth.json --output report.html

A figure's caption is report/NAME.rst; figures NAME:MODEL share one. All but metrics and config may be left out.
"""

import argparse
from pathlib import Path

from melanoma.common.cli import run
from melanoma.common.files import write_text
from melanoma.predictions.table import named_paths
from melanoma.report.page import Sources, render


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the options of this script."""
    add = parser.add_argument
    add("--study", required=True, help="name of the study")
    add("--metrics", type=Path, required=True, metavar="JSON", help="metrics of evaluate.py")
    add("--comparisons", type=Path, metavar="JSON", help="comparisons of evaluate.py")
    add("--calibration", type=Path, metavar="JSON", help="calibrators of evaluate.py")
    add("--selected-model", type=Path, metavar="JSON", help="the selected model, of select_model.py")
    add("--shortcuts", type=Path, metavar="JSON", help="findings of shortcuts.py")
    add("--config", type=Path, nargs="+", required=True, metavar="YAML", help="configuration of the study, in parts")
    add("--figures", nargs="*", default=[], metavar="NAME=FILE", help="figures, SVG or PNG, in their order")
    add("--leakage", type=Path, metavar="JSON", help="result of the leakage gate")
    add("--issues", type=Path, metavar="CSV", help="rows of the tables that were dropped or normalized, and warnings")
    add("--quality", type=Path, metavar="FILE", help="quality of the image files")
    add("--recipes", nargs="*", default=[], metavar="[NAME=]YAML", help="recipe of each model")
    add("--trials", nargs="*", default=[], metavar="NAME=CSV", help="trials of each tuned model, of tune.py")
    add("--seeds", type=Path, metavar="JSON", help="AUROC of each seed of models with several, of seeds.py")
    add("--test-access-log", type=Path, metavar="JSONL", help="when test labels were read")
    add("--fusions", nargs="*", default=[], metavar="NAME=JSON", help="weights of each fusion, of fuse.py")
    add("--truth", type=Path, action="append", metavar="JSON", help="best AUROCs of made-up images")
    add("--command", metavar="TEXT", help="the command line that made the study, shown to reproduce it")
    add("--output", type=Path, required=True, metavar="HTML", help="the report")


def main(args: argparse.Namespace) -> None:
    """Read the sources and write the page."""
    sources = Sources(
        metrics=args.metrics,
        config=args.config,
        comparisons=args.comparisons,
        calibration=args.calibration,
        selected_model=args.selected_model,
        shortcuts=args.shortcuts,
        figures=named_paths(args.figures),
        leakage=args.leakage,
        issues=args.issues,
        quality=args.quality,
        recipes=named_paths(args.recipes),
        trials=named_paths(args.trials),
        seeds=args.seeds,
        test_access_log=args.test_access_log,
        fusions=named_paths(args.fusions),
        truths=args.truth or [],
        command=args.command,
    )
    write_text(args.output, render(args.study, sources))


if __name__ == "__main__":
    run(describe, main, __doc__)
