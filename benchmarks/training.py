"""Compares training with the network alone, on a batch that stays on the device, and with the usual way.

python benchmarks/training.py --gpu --minutes 6 --threads 16 --output benchmarks/results/training_gpu.md
python benchmarks/training.py --minutes 6 --output benchmarks/results/training.md

The usual way is a DataLoader over JPEG files of the stored size with torchvision's v2 transforms, the same network in
float32, and an optimizer of torch. All run in one process and share the minutes. The page is written after each
network, so a run that is stopped leaves what it has measured.
"""

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import pandas as pd
import torch
from loader import AUGMENTATION, Files, stored_jpegs
from measurement import conditions, markdown, parser, publish
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from melanoma.compute.device import compute_device, set_up_torch
from melanoma.compute.distributed import Processes
from melanoma.compute.preemption import Preempted, Preemption
from melanoma.config.data import Images
from melanoma.config.recipe import Recipe
from melanoma.images.shards import write_shard
from melanoma.models.classifier import build_network
from melanoma.training.checkpoint import Checkpoints
from melanoma.training.trainer import Run, train

STORED, COLUMNS, END = 512, 3, 0.95  # the share of the minutes that is measured
# The first steps of a training choose kernels and allocate memory.
WARM_UP = 3
# The dense bfloat16 arithmetic of a card in TFLOP/s, from its data sheet, by a part of its name.
PEAKS = {"H200": 989, "H100 PCIe": 756, "H100": 989, "A100": 312, "L40S": 362, "L4": 121}


class Case(NamedTuple):
    """A network, its input size in pixels, its batch size, and the batches of an epoch."""

    network: str
    size: int
    batch: int
    batches: int


CPU_CASES = [Case("baseline_cnn", 512, 16, 4), Case("efficientnet_b0", 224, 16, 4), Case("resnest50", 224, 16, 2)]
GPU_CASES = [Case("baseline_cnn", 512, 20, 200), Case("efficientnet_b4", 384, 64, 32), Case("resnest269", 416, 20, 25)]


@dataclass(frozen=True)
class Bench:
    """Where all is measured: JPEG `files` of the stored size, the `folder` of their store, CPU threads, 0 or 1 GPUs."""

    files: list[Path]
    folder: Path
    threads: int
    gpus: int

    @property
    def workers(self) -> int:
        """Return how many threads or processes load batches."""
        return max(self.threads - 1, 1) if self.gpus else 0

    def now(self) -> float:
        """Return seconds: on a CPU those of the processor, so that other processes of the machine do not count."""
        return time.perf_counter() if self.gpus else time.process_time() / self.threads


class Pace(Preemption):
    """The moment after each step of a training, which stops at the `deadline`, a time of the monotonic clock."""

    def __init__(self, deadline: float, now: Callable[[], float]) -> None:
        super().__init__(None)
        self.deadline, self.now = deadline, now
        self.began, self.moments = now(), list[float]()
        self.is_over = False

    def reason(self) -> str | None:
        """Note the moment of a step. Return why to stop now, or None."""
        if not self.is_over:
            self.moments.append(self.now())
        self.is_over = time.monotonic() >= self.deadline
        return "the end of its minutes" if self.is_over else None


@dataclass(frozen=True)
class Figures:
    """What was measured: images per second within epochs, the seconds to the first step, those between epochs, GB.

    A figure is NaN if there was no time for it, and the memory also without a GPU.
    """

    rate: float
    start: float
    gap: float
    memory: float

    @classmethod
    def of(cls, pace: Pace, case: Case, memory: float) -> "Figures":
        """Return the figures of a training. The gap is the time between two epochs beyond that of a step."""
        steps: list[float] = []
        gaps: list[float] = []
        for number, (before, after) in enumerate(itertools.pairwise(pace.moments), start=1):
            if number % case.batches == 0:
                gaps.append(after - before)
            elif number >= min(WARM_UP, case.batches):
                steps.append(after - before)
        step = statistics.fmean(steps) if steps else float("nan")
        gap = statistics.median(gaps) - step if gaps else float("nan")
        return cls(case.batch / step, pace.moments[0] - pace.began, gap, memory)


def recipe_of(case: Case, gpus: int) -> Recipe:
    """Return the recipe of a case, on a GPU with mixed precision."""
    model = {
        "network": case.network,
        "input_size": case.size,
        "batch_size": case.batch,
        "backbone": {"pretrained": False},
        "augmentation": AUGMENTATION,
        "sampling": {"name": "none"},
        "precision": "bfloat16" if gpus else "float32",
        "resources": {"gpus": gpus},
    }
    return Recipe.model_validate(model)


def table(files: list[Path], count: int) -> pd.DataFrame:
    """Return `count` training rows, which repeat the files. Every third image is a melanoma."""
    rows = [number % len(files) for number in range(count)]
    columns = {
        "row": rows,
        "image": [files[row].stem for row in rows],
        "target": [int(row % 3 == 0) for row in rows],
    }
    return pd.DataFrame(columns).assign(age=50.0, sex="male", site="torso", diagnosis=None)


def workflow(bench: Bench, case: Case, pace: Pace) -> None:
    """Train as the workflow does, without validation."""
    rows = table(bench.files, case.batch * case.batches)
    run = Run(recipe_of(case, bench.gpus), rows, None, bench.folder / "shard.h5", 10_000, bench.workers)
    checkpoints = Checkpoints(bench.folder / "resume", case.network)
    try:
        train(run, checkpoints, None, pace, Processes())
    except Preempted:
        checkpoints.clear()


def network_alone(bench: Bench, case: Case, pace: Pace) -> None:
    """Train the network on one batch that is on the device, with the recipe's precision."""
    device = compute_device(bench.gpus, "float32")
    images, targets = batch_of(case, device)
    _train(recipe_of(case, bench.gpus), device, itertools.repeat((images, targets)), pace)


def usual_way(bench: Bench, case: Case, pace: Pace) -> None:
    """Train on JPEG files with a DataLoader and torchvision's transforms, in float32, with any kernels."""
    device = compute_device(bench.gpus, "float32")
    torch.set_deterministic_debug_mode("default")
    files = [bench.files[row] for row in table(bench.files, case.batch * case.batches)["row"]]
    recipe = recipe_of(case, bench.gpus).model_copy(update={"precision": "float32"})
    loader = DataLoader(
        Files(files, case.size), case.batch, shuffle=True, num_workers=bench.workers, pin_memory=bench.gpus > 0
    )
    batches = (images for _ in itertools.count() for images in loader)
    moved = ((images.to(device, non_blocking=True), torch.zeros(len(images), device=device)) for images in batches)
    _train(recipe, device, moved, pace)


WAYS = (workflow, network_alone, usual_way)


def batch_of(case: Case, device: torch.device, count: int | None = None) -> tuple[Tensor, Tensor]:
    """Return a batch of random images with their targets on `device`; of `count` images, by default of the case."""
    count = count or case.batch
    images = torch.randn(count, 3, case.size, case.size, device=device)
    return images.contiguous(memory_format=torch.channels_last), (torch.arange(count, device=device) % 3 == 0).float()


def _train(recipe: Recipe, device: torch.device, batches: Iterable[tuple[Tensor, Tensor]], pace: Pace) -> None:
    """Train on the batches until the pace says to stop. As in the workflow, the loss is read a step later."""
    model = build_network(recipe, recipe.input_size or STORED, COLUMNS)
    model = model.to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    before = torch.zeros((), device=device)
    for images, targets in batches:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
            logits = model(images, torch.zeros(len(images), COLUMNS, device=device))[:, 0]
        loss = binary_cross_entropy_with_logits(logits.float(), targets)
        loss.backward()
        optimizer.step()
        before.item()
        before = loss.detach()
        if pace.reason():
            return


def operations(case: Case, device: torch.device) -> float:
    """Return the floating-point operations of forward and backward pass of one image, two for each multiply-add.

    The backward pass has twice those of the forward pass. torch counts it wrong for convolutions in groups.
    """
    model = build_network(recipe_of(case, 0), case.size, COLUMNS).to(device).train()
    images, _ = batch_of(case, device, 2)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(images, torch.zeros(2, COLUMNS, device=device))
    return 3 * counter.get_total_flops() / 2


def measure(bench: Bench, cases: list[Case], end: float) -> Iterator[list[str]]:
    """Yield a row of the table for each case. All is measured until `end`, a time of the monotonic clock."""
    remaining = len(cases) * len(WAYS)
    peak = _peak() if bench.gpus else float("nan")
    for case in cases:
        figures = []
        for way in WAYS:
            now = time.monotonic()
            figures.append(one_way(way, bench, case, now + (end - now) / remaining))
            remaining -= 1
        ours, alone, usual = figures
        effort = operations(case, compute_device(bench.gpus, "float32"))
        yield [
            f"{case.network} at {case.size}",
            str(case.batch),
            *(_shown(each.rate, ".1f") for each in figures),
            _shown(ours.rate / alone.rate, ".2f", "**"),
            _shown(ours.rate / usual.rate, ".2f", "**"),
            f"{effort / 1e9:.1f}",
            *(_shown(each.rate * effort / peak, ".1%") for each in (ours, alone)),
            *(_shown(value, ".2f") for value in (ours.start, ours.gap, usual.gap)),
            *(_shown(each.memory, ".1f") for each in (ours, usual)),
        ]


def one_way(way: Callable[[Bench, Case, Pace], None], bench: Bench, case: Case, deadline: float) -> Figures:
    """Train in one way until the `deadline` and return the figures."""
    set_up_torch(bench.threads)
    torch.manual_seed(0)
    if bench.gpus:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    pace = Pace(deadline, bench.now)
    way(bench, case, pace)
    figures = Figures.of(pace, case, torch.cuda.max_memory_allocated() / 1e9 if bench.gpus else float("nan"))
    print(f"{case.network}, {way.__name__}: {len(pace.moments)} steps, {figures}", flush=True)
    return figures


HEADER = [
    *("network", "batch", "workflow, images/s", "network alone", "usual way"),
    *("workflow / network alone", "workflow / usual way", "GFLOP of an image"),
    *("share of the peak", "network alone, share of the peak"),
    *("start, s", "between epochs, s", "usual way, between epochs, s", "GB", "usual way, GB"),
]


def page(rows: list[list[str]], bench: Bench, minutes: float) -> list[str]:
    """Return the parts of the page of results."""
    where = (
        f"{torch.cuda.get_device_name()}, {bench.threads} CPU threads"
        if bench.gpus
        else (f"{bench.threads} CPU thread(s), processor time")
    )
    return [
        "# Training\n",
        conditions(f"{where}; {minutes:g} minutes for all networks, in one process"),
        "The workflow reads and augments images, and does the forward and backward pass and the optimizer step. The"
        " rates are those within epochs, after the first steps. The start is the time to the end of the first step,"
        " without imports. Between epochs, the workflow keeps the weights and saves a checkpoint. On a GPU, the"
        " workflow and the network alone have mixed precision, and the usual way has float32. The peak is that of dense"
        " bfloat16.\n",
        markdown(HEADER, rows),
    ]


def _peak() -> float:
    """Return the bfloat16 arithmetic of the card in operations per second, NaN if it is not known."""
    name = torch.cuda.get_device_name()
    return next((1e12 * peak for part, peak in PEAKS.items() if part in name), float("nan"))


def _shown(value: float, form: str, emphasis: str = "") -> str:
    return "-" if value != value else f"{emphasis}{value:{form}}{emphasis}"


def main() -> None:
    """Measure and write the table."""
    began = time.monotonic()
    options = parser(__doc__)
    options.add_argument("--images", type=Path, help="folder of JPEGs; default: drawn lesions")
    options.add_argument("--gpu", action="store_true", help="measure larger networks on a GPU")
    options.add_argument("--minutes", type=float, default=6, help="time for all, from the start to the page")
    options.add_argument("--threads", type=int, default=1, help="CPU threads; on a GPU, all but one load images")
    options.add_argument("--output", type=Path, required=True, help="table to write, Markdown")
    args = options.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(stored_jpegs(args.images, Path(name)), Path(name), args.threads, int(args.gpu))
        write_store(bench)
        rows = []
        for row in measure(bench, GPU_CASES if args.gpu else CPU_CASES, began + END * 60 * args.minutes):
            rows.append(row)
            publish(args.output, *page(rows, bench, args.minutes))


def write_store(bench: Bench) -> None:
    """Prepare the files as the workflow does."""
    catalog = pd.DataFrame({"image": [path.stem for path in bench.files], "file": [str(path) for path in bench.files]})
    write_shard(bench.folder / "shard.h5", catalog, Images(size=STORED), bench.threads)


if __name__ == "__main__":
    main()
