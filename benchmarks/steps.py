"""Measures a training step of the networks of a study: peak memory and time of one part of a batch.

python benchmarks/steps.py --study studies/isic2020.yaml --device cuda --output benchmarks/results/steps.md
python benchmarks/steps.py --study studies/isic2020.yaml --models s1_resnest269 --sizes 224 320 416 512 --images 2
"""

import argparse
import multiprocessing
from pathlib import Path

import torch
from measurement import Stopwatch, conditions, markdown, parser, peak_memory, publish

from melanoma.common.files import read_yaml
from melanoma.config.recipe import Recipe
from melanoma.config.study import resolve
from melanoma.models.classifier import build_network

COLUMNS = 12  # of metadata, about as many as ISIC 2020 has
STEPS = 3


def main(args: argparse.Namespace) -> None:
    """Measure each network and size in a fresh process, and write the table."""
    study = resolve(read_yaml(args.study))
    rows = []
    for name in args.models or [name for name, recipe in study.models.items() if recipe.is_backbone]:
        recipe = study.models[name]
        images = args.images or recipe.batch_size // recipe.gradient_accumulation_steps
        for size in args.sizes or [recipe.input_size or study.images.size]:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                memory, seconds = pool.apply(step, (recipe, size, images, args.device, args.threads))
            speed = f"{images / seconds:.2f}"
            rows.append([name, recipe.network, str(size), str(images), f"{memory:.1f}", f"{seconds:.2f}", speed])
            print(*rows[-1], sep="\t", flush=True)
    columns = ["model", "network", "pixels", "images", "peak memory, GB", "seconds", "images per second"]
    device = torch.cuda.get_device_name() if args.device == "cuda" else f"{args.threads} CPU threads"
    how = f"on {device}, the fastest of {STEPS} steps after the first one, random images"
    if args.output is not None:
        publish(args.output, markdown(columns, rows), conditions(how))


def step(recipe: Recipe, size: int, images: int, device: str, threads: int) -> tuple[float, float]:
    """Return the peak memory in GB (on the CPU that of the process) and the least time in s of a training step."""
    torch.set_num_threads(threads)
    model = build_network(recipe, size, COLUMNS).to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(model.parameters())
    pixels = torch.randn(images, 3, size, size, device=device).contiguous(memory_format=torch.channels_last)
    metadata = torch.randn(images, COLUMNS, device=device)
    times = []
    for _ in range(STEPS + 1):
        with Stopwatch() as watch:
            with torch.autocast(device, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
                loss = model(pixels, metadata).float().square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            if device == "cuda":
                torch.cuda.synchronize()
        times.append(watch.wall)
    peak = torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else peak_memory()
    return peak, min(times[1:])


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--study", type=Path, required=True)
    options.add_argument("--models", nargs="*", default=[], help="default: all models with a backbone")
    options.add_argument("--sizes", nargs="*", type=int, default=[], help="sides in pixels; default: the recipe's")
    options.add_argument("--images", type=int, help="images of a step; default: a part of the recipe's batch")
    options.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--output", type=Path)
    main(options.parse_args())
