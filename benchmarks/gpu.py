"""Checks and times what a GPU does beside the network: it warps images, and repeats recorded training steps.

python benchmarks/gpu.py --device cuda --output benchmarks/results/gpu.md

Each row compares two ways on the same device. On the CPU, a recording runs the step again.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from measurement import conditions, markdown, parser, publish
from torch import Tensor

from melanoma.augment import transforms as host
from melanoma.compute.device import compute_device, set_up_torch
from melanoma.compute.distributed import Processes
from melanoma.config.augmentation import Augmentation
from melanoma.config.recipe import Recipe
from melanoma.device.graphs import Recording, StepGraphs
from melanoma.device.warping import warp
from melanoma.training.learner import Learner
from melanoma.training.loader import EpochBatches, Examples

STORED = 512
GEOMETRY = {"turns": {"affine": {"probability": 1.0, "rotate": 180, "zoom": 0.3}}, "flips": {"flip_horizontal": 0.5}}


class Case(NamedTuple):
    """A network, the side of its input, and its batch size."""

    network: str
    side: int
    batch: int


CASES = (Case("baseline_cnn", 512, 20), Case("efficientnet_b4", 384, 64), Case("resnest269", 416, 20))


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
    columns = ["network", "precision", "plain step, ms", "recorded, ms", "same bits", "recording and first step, s"]
    steps = [step_row(case, precision, images, device) for case in args.cases for precision in args.precisions]
    publish(args.output, *text, markdown(columns, steps))


def warp_row(name: str, images: RandomImages, side: int, device: torch.device) -> list[str]:
    """Compare the warp of the device with OpenCV's."""
    settings = Augmentation.model_validate(GEOMETRY[name])
    drawn = host.random_transforms(settings, 1, 0, np.arange(len(images.pixels)), images.size, side)
    stored, affine = torch.from_numpy(images.pixels).to(device), torch.from_numpy(drawn.affine).to(device)
    ours = warp(stored, affine, side).cpu().numpy().astype(int)
    levels = np.abs(ours - host.warp(images.pixels, drawn.affine, side))
    seconds = _seconds(lambda: warp(stored, affine, side), device)
    figures = f"{levels.max()}", f"{levels.mean():.4f}", f"{1e3 * seconds / len(stored):.3f}"
    return [name, f"{images.size} to {side}", *figures]


def step_row(case: Case, precision: str, images: RandomImages, device: torch.device) -> list[str]:
    """Compare training steps as they are with recorded ones: their time, and the weights after them."""
    plain, recorded = (_steps(case, precision, images, device, is_recorded) for is_recorded in (False, True))
    same = "yes" if all(map(torch.equal, plain.weights, recorded.weights)) else "no"
    figures = f"{1e3 * plain.step:.1f}", f"{1e3 * recorded.step:.1f}", same, f"{recorded.first:.1f}"
    return [f"{case.network} at {case.side}, {case.batch} images", precision, *figures]


class _Steps(NamedTuple):
    """The seconds of the first step and the mean of the later ones, and the weights after them."""

    first: float
    step: float
    weights: list[Tensor]


def _steps(case: Case, precision: str, images: RandomImages, device: torch.device, is_recorded: bool) -> _Steps:
    recipe = _recipe(case, precision, device)
    examples = _examples(case, images)
    learner = Learner(recipe, examples, 0, device, Processes())
    if not is_recorded:
        learner.graphs = None
    elif device.type == "cpu":
        learner.graphs = StepGraphs(learner.network, _repeated)
    learner.start_epoch(0)
    batch, start = EpochBatches(examples.on(device), recipe, 0)[0], time.perf_counter()
    learner.learn(batch, len(batch), 1, 0)
    _wait(device)
    first = time.perf_counter() - start
    mean = _seconds(lambda: learner.learn(batch, len(batch), 2, 0), device)
    return _Steps(first, mean, [value.cpu() for value in learner.network.state_dict().values()])


def _recipe(case: Case, precision: str, device: torch.device) -> Recipe:
    model = {"network": case.network, "input_size": case.side, "batch_size": case.batch, "precision": precision}
    model |= {"backbone": {"pretrained": False}, "augmentation": GEOMETRY["turns"]}
    return Recipe.model_validate(model | {"resources": {"gpus": int(device.type == "cuda")}})


def _examples(case: Case, images: RandomImages) -> Examples:
    count = case.batch
    targets, rows = (np.arange(count) % 2).astype(np.float32), np.arange(count) % len(images.pixels)
    unknown = np.full(count, -1, np.int64)
    return Examples(np.zeros((count, 0), np.float32), targets, unknown, images, rows, output_size=case.side)


def _repeated(call: Callable[[], Tensor]) -> Recording:
    result = call()
    return Recording(lambda: result.copy_(call()), result)


def _seconds(call: Callable[[], object], device: torch.device, repeats: int = 10) -> float:
    """Return the mean time of a call after a first one."""
    call()
    _wait(device)
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    _wait(device)
    return (time.perf_counter() - start) / repeats


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
