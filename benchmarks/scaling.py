"""Compares training in one process with training in several, which share each batch.

python benchmarks/scaling.py --processes 2 --output benchmarks/results/scaling.md
python benchmarks/scaling.py --processes 4 --gpu --output benchmarks/results/scaling_gpu.md

Each process has one CPU thread, or a GPU. torchrun starts the processes, as it does in the workflow.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from loader import stored_jpegs
from measurement import conditions, markdown, parser, publish
from training import CPU_CASES, GPU_CASES, WARM_UP, Bench, Case, recipe_of, table, write_store

from melanoma.common.files import read_json, write_json
from melanoma.compute.device import set_up_torch
from melanoma.compute.distributed import process_group
from melanoma.compute.preemption import Preemption
from melanoma.training.checkpoint import Checkpoints
from melanoma.training.trainer import Checkpoint, Run, train

STEPS = {"cpu": 12, "gpu": 200}
HEADER = ["network", "batch", "processes", "images/s", "times one process", "CPU seconds of an image", "load"]


class Speed(NamedTuple):
    """Images per second, and the CPU seconds of an image."""

    rate: float
    cpu: float


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


def measured(case: Case, number: int, processes: int, gpu: bool, folder: Path) -> tuple[Speed, float]:
    """Return the speed of `case`, with the CPU seconds of all processes, and the machine's load before."""
    load, result = os.getloadavg()[0], folder / "speed.json"
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "--", __file__]
    options = ["--case", str(number), "--folder", str(folder), "--output", str(result), *(["--gpu"] if gpu else [])]
    subprocess.run([sys.executable, *launch, *options], check=True)
    speed = Speed(**read_json(result))
    print(f"{case.network}, {processes} process(es): {speed}", flush=True)
    return speed, load


def train_here(case: Case, gpu: bool, folder: Path, result: Path) -> None:
    """Train in one of the processes that torchrun started. The first one writes the speed of all."""
    set_up_torch(1)
    gpus = int(os.environ["LOCAL_WORLD_SIZE"]) if gpu else 0
    rows = table(sorted(folder.glob("*.jpg")), case.batch * STEPS["gpu" if gpu else "cpu"])
    run = Run(recipe_of(case, gpus), rows, None, folder / "shard.h5", 1, workers=3 if gpu else 0)
    checkpoints: Checkpoints[Checkpoint] = Checkpoints(folder / "resume", run.stamp())
    with process_group(gpus, nodes=1) as processes:
        clock = Clock()
        train(run, checkpoints, None, clock, processes)
        speeds = processes.gather(clock.speed(case.batch))
        if processes.is_first:
            checkpoints.clear()
            write_json(result, Speed(speeds[0].rate, sum(speed.cpu for speed in speeds))._asdict())


def compare(args: argparse.Namespace, cases: list[Case], folder: Path) -> None:
    """Measure all cases and write the page."""
    write_store(Bench(stored_jpegs(None, folder), folder, 1, 0))
    rows = []
    for number, case in enumerate(cases):
        name, alone = f"{case.network} at {case.size}", float("nan")
        for processes in (1, args.processes):
            speed, load = measured(case, number, processes, args.gpu, folder)
            alone = speed.rate if processes == 1 else alone
            figures = f"{speed.rate:.1f}", f"{speed.rate / alone:.2f}", f"{speed.cpu:.3f}", f"{load:.1f}"
            rows.append([name, str(case.batch), str(processes), *figures])
    publish(
        args.output,
        "# Training in several processes\n",
        conditions("one GPU for each process" if args.gpu else "one CPU thread for each process, gradients by gloo"),
        "The processes share each batch. The rates are those of the clock, after the first steps. The CPU seconds are"
        " those of all processes together, so other work on the machine hardly changes them. The load is the machine's"
        " average before the measurement, in processes that want a core.\n",
        markdown(HEADER, rows),
    )


def main() -> None:
    """Measure and write the page, or train in one of the processes."""
    options = parser(__doc__)
    options.add_argument("--processes", type=int, default=2, help="processes to compare with one")
    options.add_argument("--gpu", action="store_true", help="measure larger networks, with a GPU for each process")
    options.add_argument("--case", type=int, help="train this one, started by torchrun")
    options.add_argument("--folder", type=Path, help="folder of the images of --case")
    options.add_argument("--output", type=Path, required=True, help="table to write, Markdown")
    args = options.parse_args()
    cases = GPU_CASES if args.gpu else CPU_CASES[:2]
    if args.case is not None:
        train_here(cases[args.case], args.gpu, args.folder, args.output)
        return
    with tempfile.TemporaryDirectory() as name:
        compare(args, cases, Path(name))


if __name__ == "__main__":
    main()
