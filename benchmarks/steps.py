"""Measures a training step of a study's networks: peak memory and time of one part of a batch, forward and backward.

python benchmarks/steps.py --study studies/isic2020.yaml --device cuda --output benchmarks/results/steps.md
python benchmarks/steps.py --study studies/isic2020.yaml --models s1_resnest269 --sizes 224 320 416 512 --images 2
"""

import argparse
import multiprocessing
import resource
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

import torch
from conditions import conditions, markdown

from melanoma.common.files import read_yaml, write_text
from melanoma.config.facts import training_recipe
from melanoma.config.study import resolve
from melanoma.models.classifier import build_network

COLUMNS = 12  # of metadata, about what ISIC 2020 has
STEPS = 3


def main(args: argparse.Namespace) -> None:
    """Measure each network and size in a process of its own, and write the table."""
    study = resolve(read_yaml(args.study))
    models = {name: training_recipe(model) for name, model in study.models.items() if model.is_backbone}
    rows = []
    for name in args.models or models:
        recipe = models[name]
        images = args.images or recipe["batch_size"] // recipe["gradient_accumulation_steps"]
        for size in args.sizes or [recipe["input_size"] or study.images.size]:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                memory, seconds = pool.apply(step, (recipe, size, images, args.device, args.threads))
            speed = f"{images / seconds:.2f}"
            rows.append([name, recipe["network"], str(size), str(images), f"{memory:.1f}", f"{seconds:.2f}", speed])
            print(*rows[-1], sep="\t", flush=True)
    columns = ["model", "network", "pixels", "images", "peak memory, GB", "seconds", "images per second"]
    device = torch.cuda.get_device_name() if args.device == "cuda" else f"{args.threads} CPU threads"
    text = (
        f"{markdown(columns, rows)}\n{conditions(f'on {device}, best of {STEPS} steps after the first, random images')}"
    )
    if args.output is not None:
        write_text(args.output, text)


def step(recipe: dict[str, Any], size: int, images: int, device: str, threads: int) -> tuple[float, float]:
    """Return the peak memory in GB, on a CPU that of the process, and the least time in seconds of a training step."""
    torch.set_num_threads(threads)
    model = build_network(recipe, size, COLUMNS).to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(model.parameters())
    pixels = torch.randn(images, 3, size, size, device=device).contiguous(memory_format=torch.channels_last)
    metadata = torch.randn(images, COLUMNS, device=device)
    times = []
    for _ in range(STEPS + 1):
        start = time.perf_counter()
        with torch.autocast(device, torch.bfloat16, enabled=recipe["precision"] == "bfloat16"):
            loss = model(pixels, metadata).float().square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    peak = (
        torch.cuda.max_memory_allocated()
        if device == "cuda"
        else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    )
    return peak / 1e9, min(times[1:])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, required=True)
    parser.add_argument("--models", nargs="*", default=[], help="all with a backbone if not given")
    parser.add_argument("--sizes", nargs="*", type=int, default=[], help="that of the recipe if not given")
    parser.add_argument("--images", type=int, help="in the part; what the recipe says if not given")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path)
    main(parser.parse_args())
