"""Measures the preparation of images against OpenCV's usual way and against the floor, decoding alone.

python benchmarks/images.py --images ../shared/data/isic2020-subset/jpeg/train --output benchmarks/results/images.md
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

import cv2
import numpy as np
import pandas as pd
import simplejpeg
from conditions import conditions, markdown, medians

from melanoma.common.files import sha256, write_text
from melanoma.config.data import Images
from melanoma.data.demo_images import draw_photograph
from melanoma.images.header import read_header
from melanoma.images.preprocess import crop_and_resize
from melanoma.images.quality import measure
from melanoma.images.shards import prepare_file

SIZE = 512
SETTINGS = Images(size=SIZE)
# Width, height, standard deviation of the noise, JPEG quality: the last two make the size of the file.
PHOTOGRAPHS = {
    "24 Mpx, large file": (6000, 4000, 4.0, 95),
    "24 Mpx, middling file": (6000, 4000, 2.0, 95),
    "24 Mpx, small file": (6000, 4000, 2.0, 90),
    "1080p": (1920, 1080, 4.0, 95),
    "640 x 480": (640, 480, 4.0, 95),
}
REPEATS = 11


def photograph(source: np.ndarray, width: int, height: int, noise: float, quality: int) -> bytes:
    """Enlarge RGB pixels, add a sensor's noise and encode them as a camera would."""
    large = cv2.resize(source, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    large += np.random.default_rng(0).standard_normal(large.shape, dtype=np.float32) * noise
    bgr = large.clip(0, 255).astype(np.uint8)[..., ::-1]
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def full_and_area(data: bytes) -> np.ndarray:
    """Decode and shrink as is usual: at full size, then by area."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    prepared = cv2.resize(pixels[top : top + side, left : left + side], (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(prepared, cv2.COLOR_BGR2RGB)


def one_core(source: np.ndarray, folder: Path) -> tuple[list[list[str]], list[list[str]]]:
    """Return the rows of the table of ratios and of the table of parts."""
    ratios, parts = [], []
    for label, (width, height, noise, quality) in PHOTOGRAPHS.items():
        data = photograph(source, width, height, noise, quality)
        path = folder / f"{label}.jpg"
        path.write_bytes(data)
        header = read_header(data)
        factor = next(f for f in (8, 4, 2, 1) if min(width, height) // f >= SIZE or f == 1)
        least = {"min_width": -(-width // factor), "min_height": -(-height // factor)}
        prepared = crop_and_resize(data, header, SETTINGS)
        took = medians(
            {
                "ours": lambda path=path: prepare_file(path, SETTINGS),
                "full": lambda data=data: full_and_area(data),
                "floor": lambda data=data, least=least: simplejpeg.decode_jpeg(data, strict=False, **least),
                "strict": lambda data=data, least=least: simplejpeg.decode_jpeg(data, strict=True, **least),
                "prepared": lambda data=data, header=header: crop_and_resize(data, header, SETTINGS),
                "sha256": lambda data=data: sha256(data),
                "measure": lambda prepared=prepared: measure(prepared),
            },
            REPEATS,
        )
        difference = np.abs(prepared.astype(int) - full_and_area(data)).mean()
        ratios.append(
            [
                label,
                f"{len(data) / 1e6:.1f}",
                *(f"{took[name]:.2f}" for name in ("ours", "full", "floor")),
                f"**{took['full'] / took['ours']:.2f}**",
                f"**{took['floor'] / took['ours']:.2f}**",
                f"{took['floor'] / took['prepared']:.2f}",
                f"{difference:.2f}",
            ]
        )
        strict = took["strict"] - took["floor"]
        parts.append([label, *(f"{value:.2f}" for value in (strict, took["sha256"], took["measure"]))])
    return ratios, parts


def several_processes(folder: Path, count: int) -> list[list[str]]:
    """Return the time of a shard of `count` 24 Mpx images by 1, 2 and 4 at a time, by the script's own function."""
    path = folder / f"{next(iter(PHOTOGRAPHS))}.jpg"
    catalog = pd.DataFrame({"image": [f"i{k}" for k in range(count)], "file": [str(path)] * count})
    catalog.to_parquet(folder / "catalog.parquet")
    code = (
        "import sys, time, pandas as pd; from pathlib import Path; from melanoma.images.shards import write_shard\n"
        "from melanoma.config.data import Images\n"
        "catalog = pd.read_parquet(sys.argv[1]); start = time.perf_counter()\n"
        f"write_shard(Path(sys.argv[2]), catalog, {SETTINGS!r}, int(sys.argv[3])); print(time.perf_counter() - start)"
    )
    times: dict[int, list[float]] = {1: [], 2: [], 4: []}
    for _ in range(3):
        for at_a_time, values in times.items():
            command = [sys.executable, "-c", code, folder / "catalog.parquet", folder / "s.h5", at_a_time]
            where = Path(__file__).parents[1] / "scripts"
            result = subprocess.run(list(map(str, command)), cwd=where, check=True, capture_output=True, text=True)
            values.append(float(result.stdout))
    took = {at_a_time: statistics.median(values) for at_a_time, values in times.items()}
    return [[str(k), f"{count / v:.1f}", f"{took[1] / v:.2f}"] for k, v in took.items()]


def main() -> None:
    """Measure and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="folder of JPEGs to enlarge; without it a lesion is drawn")
    parser.add_argument("--output", type=Path, required=True, help="table to write, Markdown")
    parser.add_argument(
        "--count", type=int, default=192, help="images of the shard that is written by 1, 2, 4 at a time"
    )
    args = parser.parse_args()
    cv2.setNumThreads(1)
    if args.images:
        source = cv2.imread(str(min(args.images.iterdir())))[..., ::-1]
    else:
        source = draw_photograph(np.random.default_rng(0), (1500, 1000), 0.0)
    with tempfile.TemporaryDirectory() as folder:
        ratios, parts = one_core(source, Path(folder))
        scaling = several_processes(Path(folder), args.count) if len(os.sched_getaffinity(0)) >= 4 else []
    columns = ["image", "MB", "ours, ms", "full decode + area, ms", "floor, ms", "full / ours", "floor / ours"]
    text = [
        "# Preparation of images\n",
        conditions(f"median CPU time of {REPEATS}, taken in turns"),
        "Ours is everything: read, SHA-256, strict decode, crop, resize, perceptual hash, quality. The floor is",
        "the scaled decode alone, by the same library, not strict. `floor / prepared` leaves out reading, hashes and",
        "quality.\n",
        markdown([*columns, "floor / prepared", "mean difference, gray levels"], ratios),
        "What is in it, ms an image:\n",
        markdown(["image", "strict checking", "SHA-256", "perceptual hash and quality"], parts),
    ]
    if scaling:
        text += [
            f"A shard of {args.count} images of 24 Mpx, wall time, median of 3:\n",
            markdown(["at a time", "images a second", "times one"], scaling),
        ]
    write_text(args.output, "\n".join(text))
    print(args.output.read_text())


if __name__ == "__main__":
    main()
