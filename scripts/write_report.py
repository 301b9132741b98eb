"""Write the report of a study: one HTML page that works offline.

    python scripts/write_report.py --study study.yaml --metrics metrics.json --comparisons comparisons.json \\
        --calibration calibration.json --selected-model selected_model.json --shortcuts shortcuts.json \\
        --figures roc=roc.svg samples=samples.png --leakage leakage.json --issues issues.csv \\
        --quality quality.parquet --recipes cnn=cnn.yaml mlp=mlp.yaml --truths truth.json --output report.html

The caption of a figure is report/NAME.rst. Figures NAME:MODEL share one caption. The options beside --study, --metrics
and --output may be left out; the report then lacks their sections.
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
    add("--study", type=Path, nargs="+", required=True, metavar="YAML", help="parts of the resolved configuration")
    add("--metrics", type=Path, required=True, metavar="JSON", help="metrics of evaluate.py")
    add("--comparisons", type=Path, metavar="JSON", help="comparisons of evaluate.py")
    add("--calibration", type=Path, metavar="JSON", help="calibrators of evaluate.py")
    add("--selected-model", type=Path, metavar="JSON", help="selected model, of select_model.py")
    add("--shortcuts", type=Path, metavar="JSON", help="result of analyze_shortcuts.py")
    add("--figures", nargs="*", default=[], metavar="NAME=FILE", help="figures in order, SVG or PNG")
    add("--leakage", type=Path, metavar="JSON", help="result of check_leakage.py")
    add("--issues", type=Path, metavar="CSV", help="issues of the tables, of build_catalog.py")
    add("--catalog", type=Path, metavar="PARQUET", help="catalog of build_catalog.py, for the licenses of the images")
    add("--quality", type=Path, metavar="PARQUET", help="quality of the image files")
    add("--recipes", nargs="*", default=[], metavar="NAME=YAML", help="recipe of each model")
    add("--trials", nargs="*", default=[], metavar="NAME=CSV", help="tuning trials of each tuned model")
    add("--seeds", type=Path, metavar="JSON", help="AUROC of each seed of models with several, of compare_seeds.py")
    add("--test-access-log", type=Path, metavar="JSONL", help="test-set access log")
    add("--fusions", nargs="*", default=[], metavar="NAME=JSON", help="weights of each fusion, of fuse.py")
    add("--truths", nargs="*", type=Path, default=[], metavar="JSON", help="AUROCs of the best possible model")
    add("--output", type=Path, required=True, metavar="HTML", help="the report")


def main(args: argparse.Namespace) -> None:
    """Read the sources and write the page."""
    sources = Sources(
        metrics=args.metrics,
        study=args.study,
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
        truths=args.truths,
        catalog=args.catalog,
    )
    write_text(args.output, render(sources))


if __name__ == "__main__":
    run(describe, main, __doc__)
