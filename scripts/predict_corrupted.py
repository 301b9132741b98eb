"""Predict corrupted test images with the trained networks of a model, by each corruption at each severity.

python scripts/predict_corrupted.py --weights refit=refit/weights.safetensors --test split/test.parquet \\
    --images images/images.h5 --severities 1 3 5 --resume robustness/cnn.resume --output robustness/cnn.parquet

After a kill at any moment, the same command does not predict again what --resume holds.
"""

import argparse
import os
import shutil
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from melanoma.augment.corruptions import CORRUPTIONS, SEVERITIES, CorruptedImages
from melanoma.augment.tta import NO_TTA
from melanoma.common.cli import log, run
from melanoma.common.files import read_parquet, write_parquet
from melanoma.compute.device import compute_device, set_up_torch
from melanoma.compute.distributed import process_group
from melanoma.config.augmentation import TTA
from melanoma.config.base import help_text
from melanoma.config.errors import read_settings
from melanoma.config.recipe import Resources
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.images.store import ImageStore
from melanoma.predictions.aggregate import aggregated
from melanoma.predictions.table import named_paths
from melanoma.training.loader import Examples
from melanoma.training.predictor import predict_rows, require_same_preparation, stamp
from melanoma.training.saved_network import from_safetensors

SHOWN = ["image", "patient", "fold", "part", "source"]


def describe(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    add = parser.add_argument
    add("--weights", nargs="+", required=True, metavar="RUN=FILE", help="the trained networks that predict the test")
    add("--test", type=Path, required=True, help="table of the test images, without labels")
    add("--images", type=Path, required=True, help="image store")
    add("--tta", type=Path, help="file of the test-time augmentation; without it there is none")
    add("--severities", type=int, nargs="+", choices=range(1, SEVERITIES + 1), required=True, help="of each corruption")
    add("--gpus", type=int, default=0, help=help_text(Resources, "gpus"))
    add("--nodes", type=int, default=1, help=help_text(Resources, "nodes"))
    add("--threads", type=int, default=1, help=help_text(Resources, "threads"))
    add("--resume", type=Path, required=True, help="folder of finished predictions, deleted at the end")
    add("--output", type=Path, required=True, help="table to write: corruption, severity, and predictions of each")


def main(args: argparse.Namespace) -> None:
    """Write the predictions of all corrupted images, averaged over the trained networks like those of the test."""
    threads = max(args.threads // int(os.environ.get("LOCAL_WORLD_SIZE", 1)), 1)
    set_up_torch(threads)
    test = read_parquet(args.test).assign(part="test", fold=np.int8(-1))
    tta = NO_TTA if args.tta is None else read_settings(TTA, args.tta)
    store, workers = ImageStore(args.images), max(threads - 1, 1) if args.gpus else 0
    done: dict[tuple[str, int], dict[str, Path]] = {each: {} for each in product(CORRUPTIONS, args.severities)}
    with process_group(args.gpus, args.nodes) as processes:
        for name, path in named_paths(args.weights).items():
            weights = path.read_bytes()
            trained = from_safetensors(weights, path)
            require_same_preparation(trained, args.images)
            device = compute_device(args.gpus, trained["recipe"]["precision"], processes.local_rank)
            encoder = MetadataEncoder.from_dict(trained["encoder"])
            examples = Examples.of(test, encoder, args.images, trained["recipe"]["input_size"])
            key = stamp(weights, test, tta, args.images)
            for (corruption, severity), files in done.items():
                files[name] = args.resume / f"{name}-{corruption}-{severity}-{key}.parquet"
                # The first process decides, because all must predict together.
                if processes.gather(files[name].exists())[0]:
                    continue
                log.info("%s: %s, severity %d", name, corruption, severity)
                corrupted = replace(examples, store=CorruptedImages(store, corruption, severity))
                predictions = predict_rows(trained, test[SHOWN], corrupted, tta, device, workers, processes)
                if processes.is_first:
                    write_parquet(files[name], predictions)
    if processes.is_first:
        write_parquet(args.output, pd.concat([table(*each, files) for each, files in done.items()], ignore_index=True))
        shutil.rmtree(args.resume)


def table(corruption: str, severity: int, files: dict[str, Path]) -> pd.DataFrame:
    """Return corruption, severity, image, patient, logit and probability: those of all runs together."""
    runs = {name: read_parquet(path) for name, path in files.items()}
    no_train = pd.DataFrame({"image": [], "target": []})
    predictions = aggregated(runs, no_train)[["image", "patient", "logit", "probability"]]
    predictions.insert(0, "corruption", corruption)
    predictions.insert(1, "severity", np.int8(severity))
    return predictions


if __name__ == "__main__":
    run(describe, main, __doc__)
