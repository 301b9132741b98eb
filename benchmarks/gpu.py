"""Checks and times what a GPU does beside the network: it warps images, and repeats recorded training steps.

python benchmarks/gpu.py --device cuda --output benchmarks/results/gpu.md

Each row compares two ways on the same device. On the CPU, a recording runs the step again. A step has two parts, with
dropout, clipping and a weight average, and its learning rates change from step to step. The bits are those of weights,
average and state of the optimizer after all steps.
"""

import argparse
import gc
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from measurement import conditions, markdown, parser, publish
from torch import Tensor
from torch.utils._pytree import tree_leaves

from melanoma.augment import transforms as host
from melanoma.compute.device import compute_device, set_up_torch
from melanoma.compute.distributed import Processes
from melanoma.config.augmentation import Augmentation
from melanoma.config.recipe import Recipe
from melanoma.device.graphs import Call, Record, cuda_recorder
from melanoma.device.warping import warp
from melanoma.training.learner import Learner
from melanoma.training.loader import EpochBatches, Examples

STORED = 512
GEOMETRY = {"turns": {"affine": {"probability": 1.0, "rotate": 180, "zoom": 0.3}}, "flips": {"flip_horizontal": 0.5}}


class Case(NamedTuple):
    """A network, the side of its input, its batch size, and its optimizer."""

    network: str
    side: int
    batch: int
    optimizer: str


CASES = (
    Case("baseline_cnn", 512, 20, "sgd"),
    Case("efficientnet_b4", 384, 64, "adamw"),
    Case("resnest269", 416, 20, "adam"),
)
REPEATS = 10


class RandomImages:
    """Images of noise by row, as a store gives them."""

    def __init__(self, count: int, size: int) -> None:
        self.size = size
        self.pixels = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return the images of `rows`."""
        return self.pixels[rows]


def main(args: argparse.Namespace) -> None:
    """Check, measure, and write the page."""
    set_up_torch(args.threads)
    device = compute_device(int(args.device == "cuda"), "float32")
    images = RandomImages(args.images, args.stored)
    warps = [warp_row(name, images, side, device) for name in GEOMETRY for side in args.sides]
    columns = ["transform", "sides", "largest difference, gray levels", "mean difference", "ms an image"]
    text = ["# Images and steps on the device\n", conditions(f"on {_name(device)}"), markdown(columns, warps)]
    columns = ["network", "precision", "plain step, ms", "recorded, ms", "Python of it, ms", "recorded parts"]
    columns += ["same bits", "recording and first step, s"]
    steps = [step_row(case, precision, images, device) for case in args.cases for precision in args.precisions]
    publish(args.output, *text, markdown(columns, steps))


def warp_row(name: str, images: RandomImages, side: int, device: torch.device) -> list[str]:
    """Compare the warp of the device with OpenCV's."""
    settings = Augmentation.model_validate(GEOMETRY[name])
    drawn = host.random_transforms(settings, 1, 0, np.arange(len(images.pixels)), images.size, side)
    stored, affine = torch.from_numpy(images.pixels).to(device), torch.from_numpy(drawn.affine).to(device)
    ours = warp(stored, affine, side).cpu().numpy().astype(int)
    levels = np.abs(ours - host.warp(images.pixels, drawn.affine, side))
    _, seconds = _seconds(lambda: warp(stored, affine, side), device)
    figures = f"{levels.max()}", f"{levels.mean():.4f}", f"{1e3 * seconds / len(stored):.3f}"
    return [name, f"{images.size} to {side}", *figures]


def step_row(case: Case, precision: str, images: RandomImages, device: torch.device) -> list[str]:
    """Compare training steps as they are with recorded ones: their time, and all that they change."""
    record = cuda_recorder(device) if device.type == "cuda" else _as_it_is
    plain, recorded = (_steps(case, precision, images, device, way) for way in (_as_it_is, record))
    same = "yes" if all(map(torch.equal, plain.state, recorded.state)) else "no"
    times = [f"{1e3 * value:.1f}" for value in (plain.step, recorded.step, recorded.python)]
    name = f"{case.network} at {case.side}, {case.batch} images, {case.optimizer}"
    return [name, precision, *times, recorded.parts, same, f"{recorded.first:.1f}"]


class _Steps(NamedTuple):
    """The seconds of the first step, the mean of later ones, those of Python in them, the recorded parts, the state."""

    first: float
    step: float
    python: float
    parts: str
    state: list[Tensor]


def _steps(case: Case, precision: str, images: RandomImages, device: torch.device, record: Record) -> _Steps:
    gc.collect()  # a plain way is a cycle of references, which holds the memory of its learner
    recipe = _recipe(case, precision, device)
    examples = _examples(case, images)
    learner = Learner(recipe, examples, 0, device, Processes())
    for group in learner.optimizer.param_groups:
        group["fused"] = True  # on the CPU, too
    learner.start_recordings(record)
    learner.start_epoch(0)
    batch, taken = EpochBatches(examples.on(device), recipe, 0)[0], itertools.count(1)
    batch = batch.pin_memory() if device.type == "cuda" else batch  # or else each copy waits for the step before

    def step() -> None:
        number = next(taken)
        learner.learn(batch, len(batch), number, number / (2 + REPEATS))

    start = time.perf_counter()
    step()
    _wait(device)
    first = time.perf_counter() - start
    python, mean = _seconds(step, device)
    parts = {"gradients": learner.graphs, "update": learner.update_graph}
    recorded = [name for name, graph in parts.items() if graph is not None and graph.is_possible]
    state = [leaf.cpu() for leaf in tree_leaves(learner.state_dict()) if isinstance(leaf, Tensor)]
    return _Steps(first, mean, python, ", ".join(recorded) or "none", state)


def _recipe(case: Case, precision: str, device: torch.device) -> Recipe:
    model = {"network": case.network, "input_size": case.side, "batch_size": case.batch, "precision": precision}
    model |= {"backbone": {"pretrained": False}, "augmentation": GEOMETRY["turns"], "gradient_accumulation_steps": 2}
    model |= {"optimizer": {"name": case.optimizer, "max_grad_norm": 1.0}, "ema": 0.999, "dropout": 0.3, "epochs": 1}
    model |= {"schedule": {"name": "cosine", "per": "batch"}}
    return Recipe.model_validate(model | {"resources": {"gpus": int(device.type == "cuda")}})


def _examples(case: Case, images: RandomImages) -> Examples:
    count = case.batch
    targets, rows = (np.arange(count) % 2).astype(np.float32), np.arange(count) % len(images.pixels)
    unknown = np.full(count, -1, np.int64)
    return Examples(np.zeros((count, 0), np.float32), targets, unknown, images, rows, output_size=case.side)


def _as_it_is(call: Call) -> Call:
    return call


def _seconds(call: Callable[[], object], device: torch.device) -> tuple[float, float]:
    """Return the mean time of a call after a first one: that in Python, which starts kernels, and that to their end."""
    call()
    _wait(device)
    start = time.perf_counter()
    for _ in range(REPEATS):
        call()
    python = time.perf_counter() - start
    _wait(device)
    return python / REPEATS, (time.perf_counter() - start) / REPEATS


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} CPU thread(s)"


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--images", type=int, default=64, help="images that are warped at once")
    options.add_argument("--output", type=Path, required=True, help="page to write, Markdown")
    options.set_defaults(stored=STORED, sides=(512, 416, 224), cases=CASES, precisions=("float32", "bfloat16"))
    main(options.parse_args())
