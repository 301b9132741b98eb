"""Plan a study: jobs, GPU and CPU hours, memory, disk and resumes of every stage, before anything runs.

    python scripts/plan.py --configfile studies/isic2020.yaml --images 33126
    python scripts/plan.py --configfile studies/mine.yaml --images 400000 --limit 12 --gpu-speed 1.8 \\
        --images-per-second resnest=40 --output plan.md --csv plan.csv

The jobs are those of `snakemake -n`; the costs of scripts/melanoma/costs.yaml, which says where each is from.
"""

import argparse
from pathlib import Path
from typing import Any

from melanoma.command import run
from melanoma.configfiles import key_places, read_study
from melanoma.costs import Study
from melanoma.dag import study_jobs
from melanoma.errors import InputError
from melanoma.files import write_csv, write_text
from melanoma.flops import count
from melanoma.plan import make_plan, markdown, table
from melanoma.study import resolve

ISIC_2020_PREVALENCE = 584 / 33126


def describe(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--configfile", type=Path, default=Path("config.yaml"), help="the study")
    parser.add_argument("--images", type=int, required=True, help="how many images it has")
    parser.add_argument("--prevalence", type=float, default=ISIC_2020_PREVALENCE, help="share of melanomas")
    parser.add_argument("--limit", type=float, default=24, metavar="HOURS", help="longest run time of the cluster")
    parser.add_argument("--gpu-speed", type=float, default=1.0, help="speed of your GPU relative to an A100")
    parser.add_argument(
        "--images-per-second", nargs="+", default=[], metavar="MODEL=RATE", help="training speeds that you measured"
    )
    parser.add_argument("--count", action="store_true", help="count the work of networks that are not in the table")
    parser.add_argument("--output", type=Path, metavar="FILE", help="the plan as Markdown")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="its table with unrounded numbers")


def main(args: argparse.Namespace) -> None:
    """Print the plan, and write it where asked."""
    config = resolve(read_study(args.configfile), key_places([args.configfile], {}))
    if args.images < 1 or not 0 < args.prevalence < 1 or args.limit <= 0 or args.gpu_speed <= 0:
        raise InputError("--images, --limit and --gpu-speed must be positive, --prevalence between 0 and 1")
    study = Study(
        config=config,
        images=args.images,
        prevalence=args.prevalence,
        measured=rates(args.images_per_second, config["models"]),
        counted=counted(config) if args.count else {},
        gpu_speed=args.gpu_speed,
    )
    plan = make_plan(study_jobs(args.configfile), study, args.limit)
    page = markdown(plan, study, args.limit)
    if args.output:
        write_text(args.output, page)
    if args.csv:
        write_csv(args.csv, table(plan))
    print(page, end="")


def rates(texts: list[str], models: dict[str, Any]) -> dict[str, float]:
    """Read MODEL=RATE; raise InputError for a model that the study lacks or a rate that is no positive number."""
    found = {}
    for text in texts:
        model, _, rate = text.partition("=")
        if model not in models:
            raise InputError(f"--images-per-second {text}: no model {model!r}; models: {', '.join(models)}")
        try:
            found[model] = float(rate)
        except ValueError:
            found[model] = 0.0
        if found[model] <= 0:
            raise InputError(f"--images-per-second {text}: expected a positive number, as in {model}=100")
    return found


def counted(config: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Count the work of the study's networks that are timm's."""
    sizes = {
        recipe["network"]: recipe["input_size"] or config["images"]["size"] for recipe in config["models"].values()
    }
    return {network: count(network, size) for network, size in sizes.items() if network.startswith("timm/")}


if __name__ == "__main__":
    run(describe, main, __doc__)
