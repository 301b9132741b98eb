"""Compares training with the network alone, on one batch on the device, and with a plain loop over JPEG files.

python benchmarks/training.py --images FOLDER_OF_JPEGS --output benchmarks/results/training.md

The plain loop is a DataLoader over JPEG files of the stored size with torchvision's v2 transforms, the same network and
optimizer. Each method runs in a fresh process; the methods take turns. On a GPU (--gpu), precision and compilation
vary.
"""

import multiprocessing
import statistics
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import pandas as pd
import torch
from loader import AUGMENTATION, Files, stored_jpegs
from measurement import Stopwatch, conditions, markdown, parser, peak_memory, publish
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader

from melanoma.compute.device import set_up_torch
from melanoma.compute.distributed import Processes
from melanoma.compute.preemption import Preemption
from melanoma.config.data import Images
from melanoma.config.recipe import Recipe
from melanoma.images.shards import write_shard
from melanoma.models.classifier import build_network
from melanoma.training.checkpoint import Checkpoints
from melanoma.training.trainer import Run, Trainer

STORED, TURNS, CPU_IMAGES = 512, 3, 64
METHODS = ("workflow", "network alone", "plain loop")


@dataclass(frozen=True)
class Case:
    """A network, its input size and batch size. `variant` has other settings of the recipe."""

    network: str
    size: int
    batch: int
    variant: tuple[tuple[str, Any], ...] = ()

    @property
    def label(self) -> str:
        """The label in the table."""
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


def recipe_of(case: Case, gpus: int) -> Recipe:
    """Return the recipe of a case."""
    model = {
        "network": case.network,
        "input_size": case.size,
        "batch_size": case.batch,
        "backbone": {"pretrained": False},
        "augmentation": AUGMENTATION,
        "sampling": {"name": "none"},
        "resources": {"gpus": gpus},
    }
    return Recipe.model_validate(model | dict(case.variant))


def table(files: list[Path]) -> pd.DataFrame:
    """Return the training rows of the files. Every third image is a melanoma."""
    count = len(files)
    columns = {
        "row": range(count),
        "image": [path.stem for path in files],
        "target": [int(i % 3 == 0) for i in range(count)],
    }
    return pd.DataFrame(columns).assign(age=50.0, sex="male", site="torso", diagnosis=None)


def workflow_epochs(recipe: Recipe, files: list[Path], folder: Path, threads: int) -> Iterator[int]:
    """Train epochs as the workflow does. Yield the number of images of each epoch."""
    workers = max(threads - 1, 1) if recipe.resources.gpus else 0
    run = Run(recipe, table(files), None, folder / "shard.h5", 1000, workers)
    trainer = Trainer(run, Checkpoints(folder / "resume", ""), Preemption(None), Processes())
    for epoch in range(1000):
        trainer.position |= {"epoch": epoch, "batch": 0}
        trainer.train_epoch(epoch)
        yield len(files)


def network_epochs(recipe: Recipe, files: list[Path], folder: Path, threads: int) -> Iterator[int]:
    """Train the network on one batch on the device. Yield the number of images of each epoch."""
    device, step = _plain_training(recipe)
    size = recipe.input_size or STORED
    images = torch.randn(recipe.batch_size, 3, size, size, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    targets = (torch.arange(recipe.batch_size, device=device) % 3 == 0).float()
    batches = len(files) // recipe.batch_size
    while True:
        for _ in range(batches):
            step(images, targets)
        yield batches * recipe.batch_size


def plain_epochs(recipe: Recipe, files: list[Path], folder: Path, threads: int) -> Iterator[int]:
    """Train on JPEG files with torchvision's transforms. Yield the number of images of each epoch."""
    device, step = _plain_training(recipe)
    workers = max(threads - 1, 1) if recipe.resources.gpus else 0
    batches = DataLoader(
        Files(files, recipe.input_size or STORED),
        recipe.batch_size,
        shuffle=True,
        num_workers=workers,
        pin_memory=workers > 0,
    )
    while True:
        for images in batches:
            step(images.to(device, non_blocking=True), torch.zeros(len(images), device=device))
        yield len(files)


def _plain_training(recipe: Recipe) -> tuple[torch.device, Callable[[Tensor, Tensor], None]]:
    """Return the device and a function that trains one step."""
    device = torch.device("cuda" if recipe.resources.gpus else "cpu")
    model = build_network(recipe, recipe.input_size or STORED, 3).to(device, memory_format=torch.channels_last).train()
    forward = torch.compile(model) if recipe.compile else model
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    metadata = torch.zeros(recipe.batch_size, 3, device=device)

    def step(images: Tensor, targets: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
            logits = forward(images, metadata[: len(images)])[:, 0]
        binary_cross_entropy_with_logits(logits.float(), targets).backward()
        optimizer.step()

    return device, step


def measure(method: str, case: Case, files: list[Path], folder: Path, threads: int, gpus: int) -> dict[str, float]:
    """Return images per second, used share of the CPU threads, and peak memory in GB, of the second epoch.

    On the CPU, seconds are processor time, so that other processes of the machine do not count.
    """
    set_up_torch(threads)
    cv2.setNumThreads(1)
    torch.manual_seed(0)
    recipe = recipe_of(case, gpus)
    epochs = dict(zip(METHODS, (workflow_epochs, network_epochs, plain_epochs), strict=True))[method](
        recipe, files, folder, threads
    )
    next(epochs)
    _finish(gpus)
    with Stopwatch() as watch:
        images = next(epochs)
        _finish(gpus)
    return {
        "rate": images / (watch.wall if gpus else watch.cpu / threads),
        "busy": watch.cpu / watch.wall / threads,
        "memory": torch.cuda.max_memory_allocated() / 1e9 if gpus else peak_memory(),
    }


def _finish(gpus: int) -> None:
    if gpus:
        torch.cuda.synchronize()


def in_turns(case: Case, files: list[Path], folder: Path, threads: int, gpus: int) -> dict[str, dict[str, float]]:
    """Return the medians of each method. Each measurement has a fresh process; the methods take turns."""
    measured: dict[str, list[dict[str, float]]] = {method: [] for method in METHODS}
    for _ in range(TURNS):
        for method in METHODS:
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
                measured[method].append(fresh.submit(measure, method, case, files, folder, threads, gpus).result())
    return {
        method: {name: statistics.median(values[name] for values in runs) for name in runs[0]}
        for method, runs in measured.items()
    }


def main() -> None:
    """Measure and write the table."""
    options = parser(__doc__)
    options.add_argument("--images", type=Path, help="folder of JPEGs; default: drawn lesions")
    options.add_argument("--gpu", action="store_true", help="measure on a GPU")
    options.add_argument("--threads", type=int, default=1, help="CPU threads; on a GPU, all but one load images")
    options.add_argument("--output", type=Path, required=True, help="table to write, Markdown")
    args = options.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = stored_jpegs(args.images, folder)[: None if args.gpu else CPU_IMAGES]
        catalog = pd.DataFrame({"image": [path.stem for path in files], "file": [str(path) for path in files]})
        write_shard(folder / "shard.h5", catalog, Images(size=STORED), 1)
        for case in GPU_CASES if args.gpu else CPU_CASES:
            found = in_turns(case, files, folder, args.threads, int(args.gpu))
            workflow, network, plain = (found[method] for method in METHODS)
            rows.append(
                [case.label, str(case.batch)]
                + [f"{method['rate']:.1f}" for method in (workflow, network, plain)]
                + [f"**{workflow['rate'] / network['rate']:.2f}**", f"**{workflow['rate'] / plain['rate']:.2f}**"]
                + [f"{workflow['busy']:.0%}", f"{workflow['memory']:.2f}", f"{network['memory']:.2f}"]
            )
            print(rows[-1], flush=True)
    where = torch.cuda.get_device_name() if args.gpu else f"{args.threads} CPU thread(s), processor time"
    columns = ["network", "batch", "workflow, images/s", "network alone", "plain loop", "workflow / network alone"]
    columns += ["workflow / plain loop", "used CPU threads", "peak GB", "peak GB, network alone"]
    text = [
        "# Training\n",
        conditions(f"{where}; median of {TURNS} runs in turns, each the second epoch of {len(files)} images"),
        "The workflow reads and augments images, and does the forward and backward pass and the optimizer step.\n",
        markdown(columns, rows),
    ]
    publish(args.output, *text)


if __name__ == "__main__":
    main()
