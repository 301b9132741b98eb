"""Compute the features of all images by a frozen network.

python scripts/embed.py --recipe embedding.yaml --images images/images.h5 --output embeddings/network.npz
"""

import argparse
import os
from pathlib import Path

from melanoma.common.cli import run
from melanoma.compute.device import compute_device, set_up_torch
from melanoma.compute.distributed import process_group
from melanoma.config.base import help_text
from melanoma.config.recipe import Resources, read_recipe
from melanoma.training.embedder import embed


def describe(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--recipe", type=Path, required=True, help="recipe of the network")
    parser.add_argument("--images", type=Path, required=True, help="image store")
    parser.add_argument("--gpus", type=int, default=0, help=help_text(Resources, "gpus"))
    parser.add_argument("--nodes", type=int, default=1, help=help_text(Resources, "nodes"))
    parser.add_argument("--threads", type=int, default=1, help=help_text(Resources, "threads"))
    parser.add_argument("--output", type=Path, required=True, help="features to write, .npz")


def main(args: argparse.Namespace) -> None:
    """Write the features."""
    threads = max(args.threads // int(os.environ.get("LOCAL_WORLD_SIZE", 1)), 1)
    set_up_torch(threads)
    recipe = read_recipe(args.recipe)
    with process_group(args.gpus, args.nodes) as processes:
        device = compute_device(args.gpus, recipe.precision, processes.local_rank)
        workers = max(threads - 1, 1) if args.gpus else 0
        embeddings = embed(recipe, args.images, device, workers, processes)
        if processes.is_first:
            embeddings.write(args.output)


if __name__ == "__main__":
    run(describe, main, __doc__)
