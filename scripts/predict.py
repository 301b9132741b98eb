"""Predict with one trained network: the fold that it did not see, and the test images where asked.

python scripts/predict.py --weights fold-0/weights.pt --train split/train.parquet --images images/images.h5 \\
    --output predict/cnn/fold-0.parquet
"""

import argparse
import io
import os
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from melanoma.batches import Examples
from melanoma.command import run
from melanoma.context import patient_distance, patients_of_part
from melanoma.device import device_of, set_up_torch
from melanoma.distributed import joined
from melanoma.encoder import MetadataEncoder
from melanoma.files import read_yaml, write_parquet
from melanoma.inference import Predictor
from melanoma.networks import build_network
from melanoma.tta import NO_TTA


def describe(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--train", type=Path, required=True, help="the training images, with their folds")
    parser.add_argument("--test", type=Path, help="the test images, without labels")
    parser.add_argument("--images", type=Path, help="the image store, for a network that looks at pixels")
    parser.add_argument("--tta", type=Path, help="file of the test-time augmentation; without it there is none")
    parser.add_argument("--gpus", type=int, default=0, help="GPUs of this node; 0 predicts on the CPU")
    parser.add_argument("--nodes", type=int, default=1, help="nodes that predict together")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of all processes on this node")
    parser.add_argument("--output", type=Path, required=True)


def main(args: argparse.Namespace) -> None:
    """Write the predictions of the held-out fold's images and of the test images."""
    threads = max(args.threads // int(os.environ.get("LOCAL_WORLD_SIZE", 1)), 1)
    set_up_torch(threads)
    trained = torch.load(io.BytesIO(args.weights.read_bytes()), weights_only=True)
    table = rows_to_predict(args, trained["fold"])
    recipe = trained["recipe"] | {"gpus": args.gpus, "nodes": args.nodes}
    encoder = MetadataEncoder.from_dict(trained["encoder"])
    tta = read_yaml(args.tta) if args.tta is not None else NO_TTA
    examples = Examples.of(table, encoder, args.images, recipe["input_size"])
    model = build_network(recipe, trained["size"], examples.metadata.shape[1], len(trained["diagnoses"]))
    model.load_state_dict(trained["weights"])
    workers = max(threads - 1, 1) if recipe["gpus"] else 0
    with joined(recipe) as processes:
        device = device_of(recipe, processes.local)
        model.to(device, memory_format=torch.channels_last)
        logits, embeddings = Predictor(model, recipe, device, workers, processes).predict(examples, tta)
    if processes.first:
        predicted = table[["image", "patient", "fold", "part", "source"]]
        predicted = predicted.assign(logit=logits, probability=1 / (1 + np.exp(-logits)))
        distance = np.nan if embeddings is None else patient_distance(embeddings, patients_of_part(table))
        shown = trained["trained_prevalence"]
        write_parquet(args.output, predicted.assign(trained_prevalence=shown, patient_distance=distance))


def rows_to_predict(args: argparse.Namespace, fold: int | None) -> pd.DataFrame:
    """Return the rows of the fold that the model did not see, then the test rows where asked, without any label."""
    train = pd.read_parquet(args.train).drop(columns="target")
    parts = [train[train["fold"] == fold].assign(part="train")] if fold is not None else []
    if args.test is not None:
        parts.append(pd.read_parquet(args.test).assign(part="test", fold=np.int8(-1)))
    return pd.concat(parts, ignore_index=True)


if __name__ == "__main__":
    run(describe, main, __doc__)
