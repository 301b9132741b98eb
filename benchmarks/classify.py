"""Compares classify with the network alone, and measures its peak memory for few and for many images.

python benchmarks/classify.py --output benchmarks/results/classify.md

The network is the baseline CNN on images of 512 pixels, with random weights. Photographs are drawn, 600 x 450 pixels.
The memory is that of a process of its own, with a small network on images of 64 pixels.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch
from measurement import Stopwatch, conditions, markdown, parser, peak_memory, publish

from melanoma.bundle.model import BundledModel
from melanoma.classify.chunks import compute
from melanoma.classify.inputs import find_images, with_metadata
from melanoma.compute.distributed import Processes
from melanoma.config.augmentation import TTA
from melanoma.config.recipe import Recipe
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.demo.images import draw_photograph
from melanoma.models.classifier import build_network
from melanoma.training.predictor import VIEWS_AT_ONCE, restored
from melanoma.training.prefetch import Prefetch
from melanoma.training.saved_network import NetworkModel

DRAWN, SIZE = 40, (600, 450)
TURNS = 3
SMALL = {"channels": [8, 16], "kernels": [3, 3], "padding": "same", "pooling": "average", "hidden": []}
ENCODER = MetadataEncoder(50.0, 15.0, ("female", "male"), ("torso",))


def describe() -> argparse.ArgumentParser:
    """Return the command line."""
    options = parser(__doc__)
    options.add_argument("--images", type=int, default=384, help="photographs for the comparison of times")
    options.add_argument("--sizes", type=int, nargs=2, default=[2000, 10000], help="photographs for the memory")
    options.add_argument("--memory-of", type=Path, help=argparse.SUPPRESS)
    results = Path(__file__).parent / "results" / "classify.md"
    options.add_argument("--output", type=Path, default=results)
    return options


def main(args: argparse.Namespace) -> None:
    """Measure, and write the table."""
    if args.memory_of is not None:
        classified(bundle(64, SMALL), args.memory_of)
        print(peak_memory())
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw(folder / "drawn")
        whole, alone = times(photographs(folder, args.images), photographs(folder, VIEWS_AT_ONCE), args.images)
        memory = [memory_of(photographs(folder, count)) for count in args.sizes]
    rows = [
        ["network alone, CPU ms per image", f"{1e3 * alone:.1f}"],
        ["classify, CPU ms per image", f"{1e3 * whole:.1f}"],
        ["speed of classify, of the network alone", f"{alone / whole:.2f}"],
        *([f"peak memory with {n:,} images, GB", f"{peak:.2f}"] for n, peak in zip(args.sizes, memory, strict=True)),
    ]
    publish(args.output, "# Classification with a bundle\n", conditions("one CPU thread"), markdown(["", ""], rows))


def bundle(side: int, cnn: dict[str, object] | None = None) -> BundledModel:
    """Return the baseline CNN with random weights, for images of `side` pixels, as a bundle holds it."""
    recipe = Recipe.model_validate({"network": "baseline_cnn"} | ({"baseline_cnn": cnn} if cnn else {}))
    torch.manual_seed(0)
    network = build_network(recipe, side, len(ENCODER.names))
    images = {"size": side, "fit": "center_crop", "crop_border": False, "color_constancy": "none"}
    trained = {"recipe": recipe.dump(), "encoder": ENCODER.to_dict(), "size": side, "images": images, "fold": None}
    trained |= {"diagnoses": [], "trained_prevalence": 0.5, "weights": network.state_dict()}
    networks = {"cnn": NetworkModel(TTA(), ["refit"], {"refit": trained}, {"refit": 0})}
    return BundledModel({"name": "cnn", "files": {}, "models": {"cnn": "network"}}, networks, {}, {}, {})


def draw(folder: Path) -> None:
    """Draw photographs of lesions."""
    folder.mkdir()
    for number in range(DRAWN):
        pixels = draw_photograph(np.random.default_rng(number), SIZE, 0.0)
        cv2.imwrite(str(folder / f"{number}.jpg"), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))


def photographs(folder: Path, count: int) -> Path:
    """Return a folder with `count` links to the drawn photographs."""
    (folder / str(count)).mkdir()
    for number in range(count):
        os.link(folder / "drawn" / f"{number % DRAWN}.jpg", folder / str(count) / f"{number:06d}.jpg")
    return folder / str(count)


def classified(model: BundledModel, folder: Path) -> None:
    """Compute the outputs of a bundle for the photographs of a folder."""
    compute(model, with_metadata(find_images([folder]), None), folder.with_suffix(".resume"), 0, 1)


def times(folder: Path, few: Path, count: int) -> tuple[float, float]:
    """Return the CPU seconds of classify for one photograph, and those of the network alone on images in memory.

    The `few` photographs, a whole batch, are classified first: what only the first images cost is not counted, such as
    fresh memory for a batch. The two take turns.
    """
    model = bundle(512)
    classified(model, few)
    trained = model.networks["cnn"].runs["refit"]
    whole = alone = 0.0
    with Prefetch(0, pinned=False) as prefetch, torch.inference_mode():
        network = restored(trained, len(ENCODER.names), torch.device("cpu"), prefetch, Processes()).network.eval()
        images = torch.rand(VIEWS_AT_ONCE, 3, 512, 512).to(memory_format=torch.channels_last)
        metadata = torch.zeros(VIEWS_AT_ONCE, len(ENCODER.names))
        for _ in range(TURNS):
            with Stopwatch() as turn:
                classified(model, folder)
            shutil.rmtree(folder.with_suffix(".resume"))
            whole += turn.cpu
            with Stopwatch() as turn:
                for _ in range(count // VIEWS_AT_ONCE):
                    network(images, metadata)
            alone += turn.cpu
    return whole / (TURNS * count), alone / (TURNS * (count // VIEWS_AT_ONCE * VIEWS_AT_ONCE))


def memory_of(folder: Path) -> float:
    """Return the peak memory, in GB, of a process that classifies the photographs of a folder."""
    command = [sys.executable, __file__, "--memory-of", str(folder)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


if __name__ == "__main__":
    main(describe().parse_args())
