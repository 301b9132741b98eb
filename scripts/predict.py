"""Predict with all trained networks of a model: each on the fold that it did not see, and on the test images.

python scripts/predict.py --weights fold-0=fold-0/weights.pt refit=refit/weights.pt --train split/train.parquet \\
    --test split/test.parquet --test-by refit --images images/images.h5 --resume predict/cnn.resume \\
    --runs predict/cnn --output predict/cnn.parquet --model predict/cnn.json

Killed at any moment and started again with the same command, it does not predict again what --resume holds.
"""

import argparse
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from melanoma.augment.tta import NO_TTA
from melanoma.common.cli import log, run
from melanoma.common.files import read_yaml, sha256, write_json, write_parquet
from melanoma.compute.device import device_of, set_up_torch
from melanoma.compute.distributed import Processes, joined
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.images.store import ImageStore
from melanoma.predictions.aggregate import aggregated
from melanoma.predictions.prediction_file import described
from melanoma.predictions.table import named_paths
from melanoma.training.loader import Examples
from melanoma.training.predictor import Predictor, predicted, restored


def describe(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    add = parser.add_argument
    add("--weights", nargs="+", required=True, metavar="RUN=FILE", help="each trained network, by its training's name")
    add("--train", type=Path, required=True, help="the training images, with their folds")
    add("--test", type=Path, required=True, help="the test images, without labels")
    add("--test-by", choices=["refit", "fold_mean"], required=True, help="which networks predict the test images")
    add("--images", type=Path, help="the image store, for a network that looks at pixels")
    add("--tta", type=Path, help="file of the test-time augmentation; without it there is none")
    add("--gpus", type=int, default=0, help="GPUs of this node; 0 predicts on the CPU")
    add("--nodes", type=int, default=1, help="nodes that predict together")
    add("--threads", type=int, default=1, help="CPU threads of all processes on this node")
    add("--resume", type=Path, required=True, help="folder of what is predicted already")
    add("--runs", type=Path, required=True, help="folder of each training's predictions, RUN.parquet")
    add("--output", type=Path, required=True, help="the predictions of all trainings together")
    add("--model", type=Path, required=True, help="JSON to write, by which the model is applied")


def main(args: argparse.Namespace) -> None:
    """Write the predictions of each training, and all of them as one row for each image."""
    threads = max(args.threads // int(os.environ.get("LOCAL_WORLD_SIZE", 1)), 1)
    set_up_torch(threads)
    devices = {"gpus": args.gpus, "nodes": args.nodes}
    workers = max(threads - 1, 1) if args.gpus else 0
    train, test = pd.read_parquet(args.train), pd.read_parquet(args.test)
    tta = read_yaml(args.tta) if args.tta is not None else NO_TTA
    done: dict[str, Path] = {}
    with joined(devices) as processes:
        for name, path in named_paths(args.weights).items():
            weights = path.read_bytes()
            trained = torch.load(io.BytesIO(weights), weights_only=True)
            trained["recipe"] |= devices
            device = device_of(trained["recipe"], processes.local)
            predicts_test = trained["fold"] is None or args.test_by == "fold_mean"
            rows = rows_to_predict(train, test if predicts_test else None, trained["fold"])
            done[name] = args.resume / f"{name}-{_stamp(weights, rows, tta, args.images)}.parquet"
            # What the first process sees decides, as all must predict together.
            if processes.gather(done[name].exists())[0]:
                log.info("%s is predicted already", name)
                continue
            found = predict(trained, rows, args.images, tta, device, workers, processes)
            if processes.first:
                write_parquet(done[name], found)
    if processes.first:
        runs = {name: pd.read_parquet(path) for name, path in done.items()}
        for name, found in runs.items():
            write_parquet(args.runs / f"{name}.parquet", found)
        write_parquet(args.output, aggregated(runs, train))
        write_json(args.model, described(args.model, named_paths(args.weights), runs, tta))
        shutil.rmtree(args.resume)


def predict(
    trained: dict[str, Any],
    rows: pd.DataFrame,
    images: Path | None,
    tta: dict[str, Any],
    device: torch.device,
    workers: int,
    processes: Processes,
) -> pd.DataFrame:
    """Return the rows with what a trained network, as `training.Trainer.trained` returns it, predicts of them."""
    recipe, encoder = trained["recipe"], MetadataEncoder.from_dict(trained["encoder"])
    examples = Examples.of(rows, encoder, images, recipe["input_size"])
    model = restored(trained, examples.metadata.shape[1]).to(device, memory_format=torch.channels_last)
    logits, embeddings = Predictor(model, recipe, device, workers, processes).predict(examples, tta)
    shown = rows[["image", "patient", "fold", "part", "source"]]
    return predicted(shown, logits, embeddings, trained["trained_prevalence"])


def rows_to_predict(train: pd.DataFrame, test: pd.DataFrame | None, fold: int | None) -> pd.DataFrame:
    """Return the rows of the fold that the model did not see, then the test rows where asked, without any label."""
    unlabeled = train.drop(columns="target")
    parts = [unlabeled[unlabeled["fold"] == fold].assign(part="train")] if fold is not None else []
    if test is not None:
        parts.append(test.assign(part="test", fold=np.int8(-1)))
    return pd.concat(parts, ignore_index=True)


def _stamp(weights: bytes, rows: pd.DataFrame, tta: dict[str, Any], images: Path | None) -> str:
    """Return a hash of all that decides a network's predictions, 16 hexadecimal digits."""
    values = pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes()
    digest = ImageStore(images).digest if images is not None else ""
    return sha256("\n".join([sha256(weights), sha256(values), json.dumps(tta, sort_keys=True), digest]).encode())[:16]


if __name__ == "__main__":
    run(describe, main, __doc__)
