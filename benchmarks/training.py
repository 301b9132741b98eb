"""Measures training against the network alone, on data that is on the device already, and against the usual way.

python benchmarks/training.py --images ../shared/data/isic2020-subset/jpeg/train --output benchmarks/results/training.md

The usual way is a DataLoader over JPEG files of the stored size with torchvision's v2 transforms, the same network and
optimizer. Each way runs in a process of its own; they take turns. On a GPU (--gpu) precision and compiling vary.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

import cv2
import pandas as pd
import torch
from conditions import conditions, markdown
from loader import AUGMENTATION, Files, stored_jpegs
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader

from melanoma.common.files import write_text
from melanoma.compute.device import set_up_torch
from melanoma.compute.distributed import Processes
from melanoma.compute.preemption import Preemption
from melanoma.config.data import Images
from melanoma.config.facts import training_recipe
from melanoma.config.study import resolve
from melanoma.images.shards import write_shard
from melanoma.models.classifier import build_network
from melanoma.training.checkpoint import Checkpoints
from melanoma.training.trainer import Run, Trainer

STORED, TURNS, CPU_IMAGES = 512, 3, 64
WAYS = ("ours", "network alone", "usual way")


@dataclass(frozen=True)
class Case:
    """A network at a size, in batches; `variant` are other settings of the recipe."""

    network: str
    size: int
    batch: int
    variant: tuple[tuple[str, Any], ...] = ()

    @property
    def label(self) -> str:
        """What is written in the table."""
        return f"{self.network} at {self.size}" + "".join(f", {key}: {value}" for key, value in self.variant)


CPU_CASES = [
    Case("baseline_cnn", 512, 16),
    Case("efficientnet_b0", 224, 16),
    Case("resnest50", 224, 16),
]
BEST = (("precision", "bfloat16"), ("compile", True))
GPU_CASES = [
    Case(network, size, batch, variant)
    for network, size, batch in (("resnest269", 416, 20), ("efficientnet_b4", 384, 64), ("baseline_cnn", 512, 20))
    for variant in ((), BEST[:1], BEST)
]


def recipe_of(case: Case, gpus: int) -> dict[str, Any]:
    """Return the recipe that is measured."""
    model = {
        "network": case.network,
        "input_size": case.size,
        "batch_size": case.batch,
        "backbone": {"pretrained": False},
        "augmentation": AUGMENTATION,
        "sampling": {"name": "none"},
        "resources": {"gpus": gpus},
    }
    study = {"study": "benchmark", "data": {"sources": [{"name": "a", "table": "a", "images": "a"}]}}
    return training_recipe(resolve(study | {"models": {"model": model | dict(case.variant)}}).models["model"])


def table(files: list[Path]) -> pd.DataFrame:
    """Return the training rows of the files; every third is a melanoma."""
    count = len(files)
    columns = {
        "row": range(count),
        "image": [path.stem for path in files],
        "target": [int(i % 3 == 0) for i in range(count)],
    }
    return pd.DataFrame(columns).assign(age=50.0, sex="male", site="torso", diagnosis=None)


def our_epochs(recipe: dict[str, Any], files: list[Path], folder: Path, threads: int) -> Iterator[int]:
    """Train epochs as the workflow does; yield the images of each."""
    workers = max(threads - 1, 1) if recipe["gpus"] else 0
    run = Run(recipe, table(files), None, folder / "shard.h5", 1000, workers)
    trainer = Trainer(run, Checkpoints(folder / "resume", ""), Preemption(None), Processes())
    for epoch in range(1000):
        trainer.state |= {"epoch": epoch, "batch": 0}
        trainer.train_epoch(epoch)
        yield len(files)


def alone(recipe: dict[str, Any], files: list[Path], folder: Path, threads: int) -> Iterator[int]:
    """Train the network on one batch that lies on the device; yield the images of each epoch."""
    device, step = _plain_training(recipe)
    images = torch.randn(recipe["batch_size"], 3, recipe["input_size"], recipe["input_size"], device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    targets = (torch.arange(recipe["batch_size"], device=device) % 3 == 0).float()
    batches = len(files) // recipe["batch_size"]
    while True:
        for _ in range(batches):
            step(images, targets)
        yield batches * recipe["batch_size"]


def usual(recipe: dict[str, Any], files: list[Path], folder: Path, threads: int) -> Iterator[int]:
    """Train from JPEG files by torchvision's transforms; yield the images of each epoch."""
    device, step = _plain_training(recipe)
    workers = max(threads - 1, 1) if recipe["gpus"] else 0
    batches = DataLoader(
        Files(files, recipe["input_size"]),
        recipe["batch_size"],
        shuffle=True,
        num_workers=workers,
        pin_memory=workers > 0,
    )
    while True:
        for images in batches:
            step(images.to(device, non_blocking=True), torch.zeros(len(images), device=device))
        yield len(files)


def _plain_training(recipe: dict[str, Any]) -> tuple[torch.device, Callable[[Tensor, Tensor], None]]:
    """Return the device and one step of training, as anyone would write it."""
    device = torch.device("cuda" if recipe["gpus"] else "cpu")
    model = build_network(recipe, recipe["input_size"], 3).to(device, memory_format=torch.channels_last).train()
    forward = torch.compile(model) if recipe["compile"] else model
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    metadata = torch.zeros(recipe["batch_size"], 3, device=device)

    def step(images: Tensor, targets: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe["precision"] == "bfloat16"):
            logits = forward(images, metadata[: len(images)])[:, 0]
        binary_cross_entropy_with_logits(logits.float(), targets).backward()
        optimizer.step()

    return device, step


def measure(way: str, case: Case, files: list[Path], folder: Path, threads: int, gpus: int) -> dict[str, float]:
    """Return images a second, share of the CPU threads in use, and peak memory in MB, of an epoch after a first one.

    On the CPU a second is one of processor time, so that what else runs on the machine does not count.
    """
    set_up_torch(threads)
    cv2.setNumThreads(1)
    torch.manual_seed(0)
    recipe = recipe_of(case, gpus)
    epochs = dict(zip(WAYS, (our_epochs, alone, usual), strict=True))[way](recipe, files, folder, threads)
    next(epochs)
    _finish(gpus)
    started, used = time.perf_counter(), time.process_time()
    images = next(epochs)
    _finish(gpus)
    wall, computed = time.perf_counter() - started, time.process_time() - used
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "rate": images / (wall if gpus else computed / threads),
        "busy": computed / wall / threads,
        "memory": torch.cuda.max_memory_allocated() / 2**20 if gpus else kilobytes / 2**10,
    }


def _finish(gpus: int) -> None:
    if gpus:
        torch.cuda.synchronize()


def in_turns(case: Case, names: list[str], folder: Path, threads: int, gpus: int) -> dict[str, dict[str, float]]:
    """Return each way's median figures, each measured in a process of its own, in turns."""
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(TURNS):
        for way in WAYS:
            job = {"way": way, "case": [case.network, case.size, case.batch, case.variant], "files": names}
            job |= {"folder": str(folder), "threads": threads, "gpus": gpus}
            answer = subprocess.run(
                [sys.executable, __file__, "--job", json.dumps(job)], capture_output=True, text=True
            )
            if answer.returncode:
                sys.exit(f"{case.label}, {way}: {answer.stderr}")
            found[way].append(json.loads(answer.stdout.splitlines()[-1]))
    return {
        way: {name: statistics.median(figures[name] for figures in several) for name in several[0]}
        for way, several in found.items()
    }


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="folder of JPEGs; without it lesions are drawn")
    parser.add_argument("--gpu", action="store_true", help="measure on a GPU")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU; on a GPU all but one load")
    parser.add_argument("--output", type=Path, help="table to write, Markdown")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:
        job = json.loads(args.job)
        case = Case(*job["case"][:3], tuple(tuple(pair) for pair in job["case"][3]))
        files, folder = [Path(name) for name in job["files"]], Path(job["folder"])
        print(json.dumps(measure(job["way"], case, files, folder, job["threads"], job["gpus"])))
        return
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = stored_jpegs(args.images, folder)[: None if args.gpu else CPU_IMAGES]
        catalog = pd.DataFrame({"image": [path.stem for path in files], "file": [str(path) for path in files]})
        write_shard(folder / "shard.h5", catalog, Images(size=STORED), 1)
        for case in GPU_CASES if args.gpu else CPU_CASES:
            found = in_turns(case, [str(path) for path in files], folder, args.threads, int(args.gpu))
            ours, bare, theirs = (found[way] for way in WAYS)
            rows.append(
                [case.label, str(case.batch)]
                + [f"{way['rate']:.1f}" for way in (ours, bare, theirs)]
                + [f"**{ours['rate'] / bare['rate']:.2f}**", f"**{ours['rate'] / theirs['rate']:.2f}**"]
                + [f"{ours['busy']:.0%}", f"{ours['memory']:.0f}", f"{bare['memory']:.0f}"]
            )
            print(rows[-1], flush=True)
    where = torch.cuda.get_device_name() if args.gpu else f"{args.threads} CPU thread(s), processor time"
    columns = ["network", "batch", "ours, images/s", "network alone", "usual way"]
    columns += ["ours / alone", "ours / usual", "CPU threads busy", "peak MB", "peak MB alone"]
    text = [
        "# Training\n",
        conditions(f"{where}; median of {TURNS} runs of {len(files)} images after as many, in turns"),
        "Ours is all of training: reading, augmentation, colors, forward, backward, optimizer, checks of the loss.\n",
        markdown(columns, rows),
    ]
    write_text(args.output, "\n".join(text))


if __name__ == "__main__":
    main()
