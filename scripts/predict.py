"""Predict with all trained networks of a model: each on the fold that it was not trained on, and on the test images.

python scripts/predict.py --weights fold-0=fold-0/weights.safetensors refit=refit/weights.safetensors \\
    --train split/train.parquet --test split/test.parquet --images images/images.h5 \\
    --resume predict/cnn.resume --runs predict/cnn --output predict/cnn.parquet --model predict/cnn.json

After a kill at any moment, the same command does not predict again what --resume holds.
"""

import argparse
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from melanoma.augment.tta import NO_TTA
from melanoma.common.cli import log, run
from melanoma.common.files import read_parquet, write_json, write_parquet
from melanoma.compute.device import compute_device, set_up_torch
from melanoma.compute.distributed import Processes, process_group
from melanoma.config.augmentation import TTA
from melanoma.config.base import help_text
from melanoma.config.errors import read_settings
from melanoma.config.recipe import Resources
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.predictions.aggregate import aggregated
from melanoma.predictions.prediction_file import described
from melanoma.predictions.table import named_paths
from melanoma.training.loader import Examples
from melanoma.training.predictor import TrainedNetwork, predict_rows, require_same_preparation, stamp
from melanoma.training.saved_network import from_safetensors


def describe(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    add = parser.add_argument
    add("--weights", nargs="+", required=True, metavar="RUN=FILE", help="each training's name and trained network")
    add(
        "--train", type=Path, help="table of the training images, with their folds; without it, test alone is predicted"
    )
    add("--test", type=Path, required=True, help="table of the test images, without labels")
    add("--images", type=Path, help="image store, for a network that reads images")
    add("--tta", type=Path, help="file of the test-time augmentation; without it there is none")
    add("--gpus", type=int, default=0, help=help_text(Resources, "gpus"))
    add("--nodes", type=int, default=1, help=help_text(Resources, "nodes"))
    add("--threads", type=int, default=1, help=help_text(Resources, "threads"))
    add("--resume", type=Path, required=True, help="folder of finished predictions, deleted at the end")
    add("--runs", type=Path, required=True, help="folder to write, with each training's predictions, RUN.parquet")
    add("--output", type=Path, required=True, help="table to write, with the predictions of all trainings")
    add("--model", type=Path, help="JSON to write, by which the model predicts new images")


def main(args: argparse.Namespace) -> None:
    """Write the predictions of each training, and all of them as one row for each image."""
    threads = max(args.threads // int(os.environ.get("LOCAL_WORLD_SIZE", 1)), 1)
    set_up_torch(threads)
    test = read_parquet(args.test)
    train = read_parquet(args.train) if args.train else test.iloc[:0].assign(fold=np.int8(0), target=np.int8(0))
    tta = NO_TTA if args.tta is None else read_settings(TTA, args.tta)
    done: dict[str, Path] = {}
    with process_group(args.gpus, args.nodes) as processes:
        for name, path in named_paths(args.weights).items():
            weights = path.read_bytes()
            trained = from_safetensors(weights, path)
            require_same_preparation(trained, args.images)
            rows = rows_to_predict(train, test, trained["fold"])
            done[name] = args.resume / f"{name}-{stamp(weights, rows, tta, args.images)}.parquet"
            # The first process decides, because all must predict together.
            if processes.gather(done[name].exists())[0]:
                log.info("%s is predicted already", name)
                continue
            device = compute_device(args.gpus, trained["recipe"]["precision"], processes.local_rank)
            workers = max(threads - 1, 1) if args.gpus else 0
            predictions = predict(trained, rows, args.images, tta, device, workers, processes)
            if processes.is_first:
                write_parquet(done[name], predictions)
    if processes.is_first:
        runs = {name: read_parquet(path) for name, path in done.items()}
        for name, predictions in runs.items():
            write_parquet(args.runs / f"{name}.parquet", predictions)
        write_parquet(args.output, aggregated(runs, train))
        if args.model:
            write_json(args.model, described(args.model, named_paths(args.weights), runs, tta.dump()))
        shutil.rmtree(args.resume)


def predict(
    trained: TrainedNetwork,
    rows: pd.DataFrame,
    images: Path | None,
    tta: TTA,
    device: torch.device,
    workers: int,
    processes: Processes,
) -> pd.DataFrame:
    """Return the predictions of a trained network for `rows`, with their image, patient, fold, part and source.

    No batch has images of both parts. So the test images get the same bits without the others, as in a bundle.
    """
    encoder = MetadataEncoder.from_dict(trained["encoder"])
    predictions, first = [], 0
    for _, part in rows.groupby("part", sort=False):
        examples = Examples.of(part, encoder, images, trained["recipe"]["input_size"])
        shown = part[["image", "patient", "fold", "part", "source"]]
        numbered = replace(examples, first=first)
        predictions.append(predict_rows(trained, shown, numbered, tta, device, workers, processes))
        first += len(part)
    return pd.concat(predictions, ignore_index=True)


def rows_to_predict(train: pd.DataFrame, test: pd.DataFrame, fold: int | None) -> pd.DataFrame:
    """Return the rows of the fold that the network was not trained on, if any, then the test rows, without labels."""
    unlabeled = train.drop(columns="target")
    parts = [unlabeled[unlabeled["fold"] == fold].assign(part="train")] if fold is not None else []
    return pd.concat([*parts, test.assign(part="test", fold=np.int8(-1))], ignore_index=True)


if __name__ == "__main__":
    run(describe, main, __doc__)
