"""Compares training in one process with training in several, which share each batch, by where the images are.

python benchmarks/scaling.py --processes 2 --output benchmarks/results/scaling.md
python benchmarks/scaling.py --processes 4 --gpu --output benchmarks/results/scaling_gpu.md

Each process has one CPU thread, or a GPU. torchrun starts the processes, as it does in the workflow. Also on the CPU,
torch warps the images, and the processes hold them as GPUs do.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from loader import stored_jpegs
from measurement import conditions, markdown, parser, publish
from numpy.typing import NDArray
from torch import Tensor
from training import CPU_CASES, GPU_CASES, WARM_UP, Bench, Case, recipe_of, table, write_store

from melanoma.common.files import read_json, write_json
from melanoma.compute.device import set_up_torch
from melanoma.compute.distributed import Processes, process_group
from melanoma.compute.preemption import Preemption
from melanoma.device.images import DeviceImages, TrainingImages
from melanoma.device.placement import SHARE_OF_FREE_MEMORY, place_images
from melanoma.images.store import ImageReader
from melanoma.training import trainer
from melanoma.training.checkpoint import Checkpoints
from melanoma.training.trainer import Checkpoint, Run, train

STEPS = {"cpu": 12, "gpu": 200}
HEADER = ["network", "batch", "processes", "images", "images/s", "times one process", "CPU seconds of an image"]
HEADER += ["images held by a process", "MB moved in a step", "load"]
# The memory for images on each device, in shares of what all images need.
PLACES = {"store": 0.0, "all in each process": 1.01, "a part in each process": 0.7}


class Speed(NamedTuple):
    """Images per second, and the CPU seconds of an image."""

    rate: float
    cpu: float


class Result(NamedTuple):
    """A measured speed, the most images that a process holds, and the MB that processes send each other in a step."""

    rate: float
    cpu: float
    held: int
    moved: float


class Devices:
    """Devices that have room for a `share` of the images. `held` images are on this one, which sent so many bytes."""

    def __init__(self, share: float) -> None:
        self.share, self.held, self.sent = share, 0, 0
        self._exchange = Processes.exchange

    def device_images(
        self,
        store: ImageReader,
        rows: NDArray[np.int64],
        validated: Sequence[NDArray[np.int64]],
        device: torch.device,
        processes: Processes,
    ) -> TrainingImages:
        """Give a training its images."""
        free = int(self.share * len(np.unique(rows)) * store.size**2 * 3 / SHARE_OF_FREE_MEMORY)
        training, _ = place_images(store, rows, validated, device, free, processes)
        self.held = 0 if training is None else len(training.pixels)
        return TrainingImages(DeviceImages(store, training))

    def exchange(self, processes: Processes, values: Tensor, sent: list[int], received: list[int]) -> Tensor:
        """Exchange images, and count the bytes that go to other processes."""
        self.sent += values[: sum(sent) - sent[processes.rank]].nbytes
        return self._exchange(processes, values, sent, received)


class Clock(Preemption):
    """The moment after each step: `moments` has seconds of the clock, and CPU seconds of this process."""

    def __init__(self) -> None:
        super().__init__(None)
        self.moments: list[tuple[float, float]] = []

    def reason(self) -> str | None:
        """Note the moment of a step. There is never a reason to stop."""
        self.moments.append((time.perf_counter(), time.process_time()))
        return None

    def speed(self, batch: int) -> Speed:
        """Return the speed after the first steps, for batches of so many images."""
        (start, cpu_start), (end, cpu_end) = self.moments[WARM_UP - 1], self.moments[-1]
        images = batch * (len(self.moments) - WARM_UP)
        return Speed(images / (end - start), (cpu_end - cpu_start) / images)


def measured(case: Case, number: int, processes: int, place: str, gpu: bool, folder: Path) -> tuple[Result, float]:
    """Return the result of `case`, with the CPU seconds of all processes, and the machine's load before."""
    load, result = os.getloadavg()[0], folder / "speed.json"
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "--", __file__]
    options = [f"--case={number}", f"--place={place}", f"--folder={folder}", f"--output={result}"]
    subprocess.run([sys.executable, *launch, *options, *(["--gpu"] if gpu else [])], check=True)
    found = Result(**read_json(result))
    print(f"{case.network}, {processes} process(es): {found}", flush=True)
    return found, load


def train_here(case: Case, place: str, gpu: bool, folder: Path, result: Path) -> None:
    """Train in one of the processes that torchrun started. The first one writes the result of all."""
    set_up_torch(1)
    devices = Devices(PLACES[place])
    trainer.device_images = devices.device_images
    Processes.exchange = lambda *arguments: devices.exchange(*arguments)
    gpus = int(os.environ["LOCAL_WORLD_SIZE"]) if gpu else 0
    rows = table(sorted(folder.glob("*.jpg")), case.batch * STEPS["gpu" if gpu else "cpu"])
    run = Run(recipe_of(case, gpus), rows, None, folder / "shard.h5", 1, workers=3 if gpu else 0)
    checkpoints: Checkpoints[Checkpoint] = Checkpoints(folder / "resume", run.stamp())
    with process_group(gpus, nodes=1) as processes:
        clock = Clock()
        train(run, checkpoints, None, clock, processes)
        rate, cpu = clock.speed(case.batch)
        _, cpus, held, sent = zip(*processes.gather((rate, cpu, devices.held, devices.sent)), strict=True)
        if processes.is_first:
            checkpoints.clear()
            found = Result(rate, sum(cpus), max(held), sum(sent) / len(clock.moments) / 1e6)
            write_json(result, found._asdict())


def compare(args: argparse.Namespace, cases: list[Case], folder: Path) -> None:
    """Measure all cases and write the page."""
    write_store(Bench(stored_jpegs(None, folder), folder, 1, 0))
    rows = []
    for number, case in enumerate(cases):
        name, alone = f"{case.network} at {case.size}", float("nan")
        for processes, place in ((1, "store"), *((args.processes, place) for place in PLACES)):
            found, load = measured(case, number, processes, place, args.gpu, folder)
            alone = found.rate if processes == 1 else alone
            figures = f"{found.rate:.1f}", f"{found.rate / alone:.2f}", f"{found.cpu:.3f}"
            moved = str(found.held), f"{found.moved:.1f}", f"{load:.1f}"
            rows.append([name, str(case.batch), str(processes), place, *figures, *moved])
    publish(
        args.output,
        "# Training in several processes\n",
        conditions("one GPU for each process" if args.gpu else "one CPU thread for each process, data by gloo"),
        "The processes share each batch. In a step, they move images only if each holds a part of them. torch warps the"
        " images. The rates are those of the clock, after the first steps. The CPU seconds are"
        " those of all processes together, so other work on the machine changes them less. The load is the machine's"
        " average before the measurement, in processes that want a core.\n",
        markdown(HEADER, rows),
    )


def main() -> None:
    """Measure and write the page, or train in one of the processes."""
    options = parser(__doc__)
    options.add_argument("--processes", type=int, default=2, help="processes to compare with one")
    options.add_argument("--gpu", action="store_true", help="measure larger networks, with a GPU for each process")
    options.add_argument("--case", type=int, help="train this one, started by torchrun")
    options.add_argument("--place", choices=PLACES, help="where the images of --case are")
    options.add_argument("--folder", type=Path, help="folder of the images of --case")
    options.add_argument("--output", type=Path, required=True, help="table to write, Markdown")
    args = options.parse_args()
    cases = GPU_CASES if args.gpu else CPU_CASES[:2]
    if args.case is not None:
        train_here(cases[args.case], args.place, args.gpu, args.folder, args.output)
        return
    with tempfile.TemporaryDirectory() as name:
        compare(args, cases, Path(name))


if __name__ == "__main__":
    main()
