"""Train one network by its recipe, on all folds but one or on all of train.

python scripts/train.py --recipe recipe.yaml --train split/train.parquet --images images/images.h5 --fold 0 \\
    --resume fold-0/resume --weights fold-0/weights.pt --history fold-0/history.csv
python scripts/train.py --recipe recipe.yaml --train split/train.parquet --images images/images.h5 \\
    --epochs-from fold-0/history.csv --resume refit/resume --weights refit/weights.pt --history refit/history.csv

On several GPUs: torchrun --nproc-per-node=4 scripts/train.py ..., on several nodes torchrun --nnodes=2 ... on each.

Killed at any moment and started again with the same command, it goes on from its last checkpoint in --resume. Where it
stops by itself, on a signal or before its time limit, it saves a checkpoint and exits with 75.
"""

import argparse
import os
import sys
from pathlib import Path
from statistics import mean
from typing import Any

import pandas as pd

from melanoma.common.cli import log, run
from melanoma.common.errors import InputError
from melanoma.common.files import read_yaml, write_bytes, write_csv
from melanoma.compute.device import set_up_torch
from melanoma.compute.distributed import joined
from melanoma.compute.preemption import TRY_AGAIN, Preempted, Preemption, scheduler_job
from melanoma.training.checkpoint import Checkpoints, serialize
from melanoma.training.early_stopping import best_epoch
from melanoma.training.trainer import COMPUTING, Run, train


def describe(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--seed", type=int, help="instead of the recipe's")
    parser.add_argument("--train", type=Path, required=True, help="the training images, with their folds")
    parser.add_argument("--images", type=Path, help="the image store, for a network that looks at pixels")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--fold", type=int, help="the fold that is validation; the others train")
    which.add_argument(
        "--epochs-from", type=Path, nargs="+", metavar="HISTORY", help="train on all, for these folds' best epochs"
    )
    parser.add_argument("--gpus", type=int, default=0, help="GPUs of this node; 0 trains on the CPU")
    parser.add_argument("--nodes", type=int, default=1, help="nodes that train together")
    parser.add_argument("--checkpoint-batches", type=int, default=500, help="batches between two checkpoints")
    parser.add_argument("--checkpoint-minutes", type=float, default=10.0, help="minutes between two checkpoints")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of all processes on this node")
    parser.add_argument(
        "--workers", type=int, help="processes that load batches; without it as many as there is use for"
    )
    parser.add_argument(
        "--limit",
        type=float,
        metavar="MINUTES",
        help="time after which the scheduler, where there is one, kills this job",
    )
    parser.add_argument("--resume", type=Path, required=True, help="folder of the checkpoints")
    parser.add_argument("--tensorboard", type=Path, help="folder of TensorBoard's curves")
    parser.add_argument("--weights", type=Path, help="without it the trained network is not kept, as in tuning")
    parser.add_argument("--history", type=Path, required=True)


def main(args: argparse.Namespace) -> None:
    """Train, write history and weights, and remove the checkpoints."""
    computing = {key: getattr(args, key) for key in COMPUTING}
    recipe = read_yaml(args.recipe) | computing | ({} if args.seed is None else {"seed": args.seed})
    threads = max(args.threads // int(os.environ.get("LOCAL_WORLD_SIZE", 1)), 1)
    set_up_torch(threads)
    workers = args.workers if args.workers is not None else (max(threads - 1, 1) if recipe["gpus"] else 0)
    job = fold_run(args, recipe, workers) if args.fold is not None else refit_run(args, recipe, workers)
    checkpoints = Checkpoints(args.resume, job.stamp())
    preemption = Preemption(args.limit * 60 if args.limit and scheduler_job() else None)
    try:
        with joined(recipe) as processes, preemption.watching():
            trained, history = train(job, checkpoints, args.tensorboard, preemption, processes)
    except Preempted as reason:
        log.warning("%s", reason)
        sys.exit(TRY_AGAIN)
    if processes.first:
        if args.weights is not None:
            write_bytes(args.weights, serialize(trained | {"fold": args.fold}))
        write_csv(args.history, history)
        checkpoints.clear()
        log.info("the best epoch is %d", trained["epoch"])


def fold_run(args: argparse.Namespace, recipe: dict[str, Any], workers: int) -> Run:
    """Return the training on all folds but one, evaluated on that one."""
    table = pd.read_parquet(args.train)
    held_out = table["fold"] == args.fold
    if not held_out.any():
        raise InputError(f"{args.train}: no image is in fold {args.fold}; its folds are {sorted(set(table['fold']))}")
    return Run(
        recipe=recipe,
        table=table[~held_out].reset_index(drop=True),
        validation=table[held_out].reset_index(drop=True),
        images=args.images,
        epochs=recipe["epochs"],
        workers=workers,
    )


def refit_run(args: argparse.Namespace, recipe: dict[str, Any], workers: int) -> Run:
    """Return the training on all of train, for the mean of the folds' best epochs."""
    chosen = [best_epoch(pd.read_csv(path), recipe["monitor"]) for path in args.epochs_from]
    return Run(
        recipe=recipe,
        table=pd.read_parquet(args.train),
        validation=None,
        images=args.images,
        epochs=max(round(mean(chosen)), 1),
        workers=workers,
    )


if __name__ == "__main__":
    run(describe, main, __doc__)
