"""Train one network by its recipe, on all folds but one or on all training images.

python scripts/train.py --recipe recipe.yaml --train split/train.parquet --images images/images.h5 --fold 0 \\
    --resume fold-0/resume --weights fold-0/weights.safetensors --history fold-0/history.csv
python scripts/train.py --recipe recipe.yaml --train split/train.parquet --images images/images.h5 \\
    --epochs-from fold-0/history.csv --resume refit/resume --weights refit/weights.safetensors \\
    --history refit/history.csv

On several GPUs: torchrun --nproc-per-node=4 scripts/train.py .... On several nodes: torchrun --nnodes=2 ... on each.

After a kill at any moment, the same command continues from the last checkpoint in --resume. After a signal, or before
its time limit, the script saves a checkpoint and exits with 75.
"""

import argparse
import os
import sys
from pathlib import Path
from statistics import mean

from melanoma.common.cli import log, run
from melanoma.common.errors import InputError
from melanoma.common.files import read_csv, read_parquet, write_bytes, write_csv
from melanoma.compute.device import set_up_torch
from melanoma.compute.distributed import process_group
from melanoma.compute.preemption import TRY_AGAIN, Preempted, Preemption, scheduler_job
from melanoma.config.base import help_text
from melanoma.config.recipe import Recipe, Resources, read_recipe
from melanoma.training.checkpoint import Checkpoints
from melanoma.training.early_stopping import best_epoch
from melanoma.training.saved_network import to_safetensors
from melanoma.training.trainer import Checkpoint, Run, train


def describe(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--seed", type=int, help="use this seed instead of the recipe's")
    parser.add_argument("--train", type=Path, required=True, help="table of the training images, with their folds")
    parser.add_argument("--images", type=Path, help="image store, for a network that reads images")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--fold", type=int, help="validate on this fold and train on the others")
    which.add_argument(
        "--epochs-from",
        type=Path,
        nargs="+",
        metavar="HISTORY",
        help="train on all images, for the mean of the best epochs of these folds",
    )
    parser.add_argument("--gpus", type=int, default=0, help=help_text(Resources, "gpus"))
    parser.add_argument("--nodes", type=int, default=1, help=help_text(Resources, "nodes"))
    parser.add_argument("--checkpoint-batches", type=int, default=500, help=help_text(Recipe, "checkpoint_batches"))
    parser.add_argument("--checkpoint-minutes", type=float, default=10.0, help=help_text(Recipe, "checkpoint_minutes"))
    parser.add_argument("--threads", type=int, default=1, help=help_text(Resources, "threads"))
    parser.add_argument(
        "--workers", type=int, help="threads that load batches; by default 0 on the CPU, else one less than threads"
    )
    parser.add_argument(
        "--limit",
        type=float,
        metavar="MINUTES",
        help="time limit of this job under a scheduler",
    )
    parser.add_argument("--resume", type=Path, required=True, help="folder of the checkpoints, deleted at the end")
    parser.add_argument("--compiled", type=Path, help="folder in which trainings share compiled networks")
    parser.add_argument("--tensorboard", type=Path, help="folder of TensorBoard's curves")
    parser.add_argument("--weights", type=Path, help="file to write, of the trained network; without it none is kept")
    parser.add_argument("--history", type=Path, required=True, help="table of the epochs to write, CSV")


def main(args: argparse.Namespace) -> None:
    """Train, write history and weights, and delete the checkpoints."""
    threads = max(args.threads // int(os.environ.get("LOCAL_WORLD_SIZE", 1)), 1)
    set_up_torch(threads)
    workers = args.workers if args.workers is not None else (max(threads - 1, 1) if args.gpus else 0)
    job = fold_run(args, workers) if args.fold is not None else refit_run(args, workers)
    checkpoints: Checkpoints[Checkpoint] = Checkpoints(args.resume, job.stamp())
    preemption = Preemption(args.limit * 60 if args.limit and scheduler_job() else None)
    try:
        with process_group(args.gpus, args.nodes) as processes, preemption.watching():
            trained, history = train(job, checkpoints, args.tensorboard, preemption, processes)
            # A signal from here on changes nothing: what remains takes less time than another start.
            if processes.is_first:
                if args.weights is not None:
                    trained["fold"] = args.fold
                    write_bytes(args.weights, to_safetensors(trained))
                write_csv(args.history, history)
                checkpoints.clear()
                log.info("the best epoch is %d", trained["epoch"])
    except Preempted as reason:
        log.warning("%s", reason)
        checkpoints.ownership.release()
        sys.exit(TRY_AGAIN)


def run_recipe(args: argparse.Namespace) -> Recipe:
    """Return the recipe of the file, with the seed and the computing of the command line."""
    recipe = read_recipe(args.recipe)
    changes = {
        "seed": recipe.seed if args.seed is None else args.seed,
        "resources": Resources(gpus=args.gpus, nodes=args.nodes),
        "checkpoint_batches": args.checkpoint_batches,
        "checkpoint_minutes": args.checkpoint_minutes,
    }
    return recipe.model_copy(update=changes)


def fold_run(args: argparse.Namespace, workers: int) -> Run:
    """Return the training on all folds but one, evaluated on that one."""
    recipe, table = run_recipe(args), read_parquet(args.train)
    held_out = table["fold"] == args.fold
    if not held_out.any():
        raise InputError(f"{args.train}: no image is in fold {args.fold}; its folds are {sorted(set(table['fold']))}")
    train_rows, validation_rows = (table[rows].reset_index(drop=True) for rows in (~held_out, held_out))
    return Run(recipe, train_rows, validation_rows, args.images, recipe.epochs, workers, args.compiled)


def refit_run(args: argparse.Namespace, workers: int) -> Run:
    """Return the training on all images, for the mean of the folds' best epochs."""
    recipe = run_recipe(args)
    epochs = round(mean(best_epoch(read_csv(path), recipe.monitor) for path in args.epochs_from))
    return Run(recipe, read_parquet(args.train), None, args.images, epochs, workers, args.compiled)


if __name__ == "__main__":
    run(describe, main, __doc__)
